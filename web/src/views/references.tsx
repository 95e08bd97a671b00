import * as Plot from "@observablehq/plot";
import { formatCount, formatScore, formatShare } from "../../../src/format.ts";
import type { ReferenceReport, ScoreReport } from "../../../src/page/contract.ts";
import type { AgreementRecord } from "../../../src/run/records/rating.ts";
import type { Bin } from "../../../src/stats/histogram.ts";
import { toBars } from "../figures/score-histogram.tsx";
import { shortName } from "../parts/judge-name.ts";
import { Figure } from "../parts/figure.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { Fact, WithInterval } from "../parts/words.tsx";
import { hashOf } from "../place.ts";

interface ReferencesProps {
  readonly scores: ScoreReport;
  readonly reference: ReferenceReport;
  /** Its index among the references. */
  readonly place: number;
}

/** Another judge's scores of the same rows, compared with the run's own. */
export function References({ scores, reference, place }: ReferencesProps) {
  const { agreement, mean, scored } = reference;
  const name = shortName(reference.name);
  const judge = shortName(scores.judge);
  const id = `reference-${name.replace(/\W+/g, "-")}`;
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>
        {judge} compared with {name}
      </h2>
      {name !== reference.name && <p class="quiet">{reference.name}</p>}
      <dl class="facts">
        <Fact name="agreement" note="Spearman's rank correlation, 95 % interval">
          <WithInterval of={agreement.spearman} />
        </Fact>
        <Fact name="rows that both scored">{formatCount(agreement.rows)}</Fact>
        <Fact name="mean score of the other judge" note={`${formatCount(scored)} rows`}>
          {mean === null ? "–" : mean.toFixed(2)}
        </Fact>
        <Fact name="rows they disagree about">
          <a href={hashOf("rows", { sort: "disagreement", reference: place, isDescending: "true" })}>
            show the largest disagreements first
          </a>
        </Fact>
      </dl>
      <div class="sides">
        <SmallHistogram title={`Scores by ${judge}, for comparison`} bins={scores.histogram} />
        <SmallHistogram title={`Scores by ${name}`} bins={reference.histogram} />
      </div>
      <div class="sides">
        <Grid judge={judge} reference={reference} />
        {agreement.thresholds.length > 0 && (
          <Table
            caption={`How well ${judge} finds what ${name} rates high`}
            columns={thresholdColumns}
            rows={agreement.thresholds}
          />
        )}
      </div>
    </section>
  );
}

const thresholdColumns: readonly Column<AgreementRecord["thresholds"][number]>[] = [
  {
    name: "rated at least",
    isNumber: true,
    show: ({ threshold }) => formatScore(threshold),
    value: ({ threshold }) => threshold,
  },
  { name: "rows", isNumber: true, show: ({ rows }) => formatCount(rows), value: ({ rows }) => rows },
  { name: "share", isNumber: true, show: ({ share }) => formatShare(share), value: ({ share }) => share },
  { name: "area under the curve", isNumber: true, show: ({ auc }) => auc?.toFixed(3) ?? "–", value: ({ auc }) => auc },
  {
    name: "precision at the same size",
    isNumber: true,
    show: ({ precision }) => (precision === null ? "–" : formatShare(precision)),
    value: ({ precision }) => precision,
  },
];

export function SmallHistogram({ title, bins }: { title: string; bins: readonly Bin[] }) {
  const bars = toBars(bins);
  return (
    <Figure
      title={title}
      label={`Histogram: ${bins.map((bin) => `${describeBin(bin)}: ${formatCount(bin.count)} rows`).join(", ")}`}
      height={200}
      from={[JSON.stringify(bins)]}
      draw={() => ({
        marginLeft: 56,
        marginBottom: 40,
        x: { label: "score", ...(bars.isByValue && { ticks: bins.map(({ from }) => from) }) },
        y: { label: "rows", grid: true, tickFormat: (count: number) => formatCount(count) },
        marks: [
          Plot.ruleY([0], { stroke: "var(--rule)" }),
          Plot.rectY(bars.bins, { x1: "x1", x2: "x2", y: "count", fill: "var(--rest)", insetRight: 1 }),
        ],
      })}
    />
  );
}

/** Heat map of the rows by both judges' scores. */
function Grid({ judge, reference: { name: whole, grid, agreement } }: { judge: string; reference: ReferenceReport }) {
  const name = shortName(whole);
  const own = toBars(grid.own).bins;
  const theirs = toBars(grid.reference).bins;
  const cells = grid.counts.flatMap((counts, j) =>
    counts.flatMap((count, i) =>
      count > 0
        ? [
            {
              x1: own[i]!.x1,
              x2: own[i]!.x2,
              y1: theirs[j]!.x1,
              y2: theirs[j]!.x2,
              count,
              label: describeBin(own[i]!),
              other: describeBin(theirs[j]!),
            },
          ]
        : [],
    ),
  );
  const most = Math.max(1, ...cells.map(({ count }) => count));
  return (
    <Figure
      title={`Rows by both scores: ${judge} on the x axis, ${name} on the y axis`}
      label={`Rows by both judges' scores. Spearman's correlation is ${agreement.spearman.value?.toFixed(2) ?? "not known"}. The most rows: ${cells
        .toSorted((a, b) => b.count - a.count)
        .slice(0, 5)
        .map(({ label, other, count }) => `${label} and ${other}: ${formatCount(count)}`)
        .join(", ")}`}
      height={300}
      from={[JSON.stringify(grid)]}
      note={`Darker cells have more rows (square-root scale); the darkest has ${formatCount(most)} ${most === 1 ? "row" : "rows"}.`}
      draw={() => ({
        marginLeft: 48,
        marginBottom: 40,
        x: { label: judge },
        y: { label: name },
        marks: [
          Plot.rect(cells, {
            x1: "x1",
            x2: "x2",
            y1: "y1",
            y2: "y2",
            inset: 0.5,
            fill: "var(--kept)",
            fillOpacity: ({ count }: { count: number }) => 0.06 + 0.94 * Math.sqrt(count / most),
            title: ({ label, other, count }: (typeof cells)[number]) =>
              `${label} and ${other}: ${formatCount(count)} rows`,
          }),
        ],
        opacity: { type: "identity" },
      })}
    />
  );
}

function describeBin({ from, to }: Bin): string {
  return from === to ? formatScore(from) : `${formatScore(from)} to ${formatScore(to)}`;
}
