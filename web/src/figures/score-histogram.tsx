import * as Plot from "@observablehq/plot";
import { useRef, useState } from "preact/hooks";
import { formatCount, formatScore, formatShare } from "../../../src/format.ts";
import type { ScoreReport, ThresholdTable } from "../../../src/page/contract.ts";
import type { Bin } from "../../../src/stats/histogram.ts";
import { paper, paperHistogram } from "../paper.ts";
import { shortName } from "../parts/judge-name.ts";
import { Figure } from "../parts/figure.tsx";
import type { Kept } from "../what-if.ts";
import { edgeOf, lastEdge } from "../what-if.ts";

interface HistogramProps {
  readonly scores: ScoreReport;
  readonly table: ThresholdTable;
  /** The threshold, as an index of the table's edges; undefined until the table is known. */
  readonly edge: number | undefined;
  readonly kept: Kept;
  readonly onMove: (edge: number) => void;
}

interface Scale {
  readonly toPixels: (score: number) => number;
  readonly toScore: (pixels: number) => number;
}

const histogramHeight = 280;
const margins = { marginTop: 24, marginBottom: 40, marginLeft: 56, marginRight: 16 };
const pageShare = 20; // Page Up and Page Down move by this fraction of all edges

/** Histogram of the scores, with the threshold as a handle that pointer and keys can move. */
export function ScoreHistogram({ scores, table, edge, kept, onMove }: HistogramProps) {
  const [hasPaper, setPaper] = useState(false);
  const [scale, setScale] = useState<Scale>();
  const area = useRef<HTMLDivElement>(null);
  const bars = toBars(scores.histogram);
  const offset = bars.isByValue ? -bars.gap / 2 : 0;
  const threshold = edge === undefined ? undefined : kept.threshold;
  const scored = scores.histogram.reduce((sum, { count }) => sum + count, 0);
  const domain = domainOf(bars.bins, hasPaper);

  const drag = (event: PointerEvent) => {
    if (!scale) return;
    const { left } = area.current!.getBoundingClientRect();
    const score = scale.toScore(event.clientX - left) - offset;
    const above = edgeOf(table, score);
    const below = Math.max(0, above - 1);
    const isNearerBelow = Math.abs(table.edges[below]! - score) < Math.abs(table.edges[above]! - score);
    onMove(isNearerBelow ? below : above);
  };
  const pageStep = Math.max(1, Math.round(table.edges.length / pageShare));
  const press = (event: KeyboardEvent) => {
    const moves: Record<string, number> = {
      ArrowRight: edge! + 1,
      ArrowUp: edge! + 1,
      ArrowLeft: edge! - 1,
      ArrowDown: edge! - 1,
      PageUp: edge! + pageStep,
      PageDown: edge! - pageStep,
      Home: 0,
      End: lastEdge(table),
    };
    const to = moves[event.key];
    if (to === undefined) return;
    event.preventDefault();
    onMove(to);
  };

  return (
    <Figure
      title={`Scores by ${shortName(scores.judge)}`}
      label={`Histogram of ${formatCount(scored)} scores: ${scores.histogram.map(({ from, to, count }) => `${from === to ? formatScore(from) : `${formatScore(from)} to ${formatScore(to)}`}: ${formatCount(count)} rows`).join(", ")}`}
      height={histogramHeight}
      from={[JSON.stringify(scores.histogram), threshold, hasPaper]}
      draw={() => ({
        ...margins,
        x: { label: "score", domain, ...(bars.isByValue && { ticks: bars.bins.map(({ from }) => from) }) },
        y: { label: "rows", grid: true, tickFormat: (count: number) => formatCount(count) },
        marks: [
          Plot.ruleY([0], { stroke: "var(--rule)" }),
          Plot.rectY(bars.bins, { x1: "x1", x2: "x2", y: "count", fill: "var(--rest)", insetRight: 1 }),
          ...(threshold === undefined
            ? []
            : [
                Plot.rectY(keptParts(bars.bins, threshold + offset), {
                  x1: "x1",
                  x2: "x2",
                  y: "count",
                  fill: "var(--kept)",
                  insetRight: 1,
                }),
              ]),
          ...(hasPaper ? paperMarks(scored) : []),
          ...(threshold === undefined ? [] : thresholdMarks(Math.max(domain[0], threshold + offset), threshold)),
        ],
      })}
      onDrawn={(svg) => {
        const x = svg.scale("x")!;
        setScale({ toPixels: (score) => Number(x.apply(score)), toScore: (pixels) => Number(x.invert!(pixels)) });
      }}
      controls={
        <label class="check">
          <input type="checkbox" checked={hasPaper} onChange={({ currentTarget }) => setPaper(currentTarget.checked)} />{" "}
          show the paper's ratings
        </label>
      }
      legend={[
        { colour: "--kept" as const, name: "kept" },
        { colour: "--rest" as const, name: "not kept" },
        ...(hasPaper ? [{ colour: "--paper" as const, name: "the paper's ratings (outline)" }] : []),
      ]}
      note={
        hasPaper
          ? `Outlined: ChatGPT's ratings of Alpaca's 52,002 rows, scaled to the same number of rows (${paper}). Its threshold was 4.5; scores of another judge are not comparable.`
          : undefined
      }
    >
      <div
        ref={area}
        class="drag-area"
        onPointerDown={(event) => {
          if (edge === undefined) return;
          area.current!.setPointerCapture(event.pointerId);
          drag(event);
          area.current!.querySelector<HTMLElement>(".handle")?.focus({ preventScroll: true });
        }}
        onPointerMove={(event) => {
          if (area.current!.hasPointerCapture(event.pointerId)) drag(event);
        }}
      >
        {scale && threshold !== undefined && (
          <div
            class="handle"
            role="slider"
            tabIndex={0}
            aria-label="threshold"
            aria-orientation="horizontal"
            aria-valuemin={table.edges[0]}
            aria-valuemax={table.edges[lastEdge(table)]}
            aria-valuenow={threshold}
            aria-valuetext={`at least ${formatScore(threshold)}: ${formatCount(kept.rows)} rows, ${formatShare(kept.share)}`}
            style={{ left: `${scale.toPixels(Math.max(domain[0], threshold + offset))}px` }}
            onKeyDown={press}
          >
            <span aria-hidden="true" />
          </div>
        )}
      </div>
    </Figure>
  );
}

interface Bar extends Bin {
  readonly x1: number;
  readonly x2: number;
}

/** Turns bins into bars. A single value gets 80 % of the smallest gap as its width; a range keeps its own. */
export function toBars(bins: readonly Bin[]): {
  readonly bins: readonly Bar[];
  readonly isByValue: boolean;
  readonly gap: number;
} {
  const isByValue = bins.every(({ from, to }) => from === to);
  if (!isByValue) return { bins: bins.map((bin) => ({ ...bin, x1: bin.from, x2: bin.to })), isByValue, gap: 0 };
  const gaps = bins.slice(1).map(({ from }, i) => from - bins[i]!.from);
  const gap = gaps.length > 0 ? Math.min(...gaps) : 1;
  return {
    bins: bins.map((bin) => ({ ...bin, x1: bin.from - 0.4 * gap, x2: bin.from + 0.4 * gap })),
    isByValue,
    gap,
  };
}

function domainOf(bars: readonly Bar[], hasPaper: boolean): [number, number] {
  const [low, high] = [bars[0]?.x1 ?? 0, bars.at(-1)?.x2 ?? 1];
  const margin = (high - low) * 0.03;
  const own: [number, number] = [low - margin, high + margin];
  return hasPaper ? [Math.min(own[0], 2.2), Math.max(own[1], 5.3)] : own;
}

function keptParts(bars: readonly Bar[], from: number): Bar[] {
  return bars.flatMap((bar) => (bar.x2 <= from ? [] : [{ ...bar, x1: Math.max(bar.x1, from) }]));
}

/** The threshold as marks of the plot, so that a saved figure has it too. */
function thresholdMarks(x: number, threshold: number): Plot.Markish[] {
  return [
    Plot.ruleX([x], { stroke: "var(--ink)", strokeWidth: 2 }),
    Plot.text([x], {
      x: (at: number) => at,
      frameAnchor: "top",
      dy: -20,
      text: () => `≥ ${formatScore(threshold)}`,
      fontWeight: "bold",
      fontSize: 13,
      fill: "var(--ink)",
    }),
  ];
}

/** The paper's bars as outlines, scaled to the same number of rows. */
function paperMarks(scored: number): Plot.Markish[] {
  const total = paperHistogram.reduce((sum, { count }) => sum + count, 0);
  const outlines = paperHistogram.map(({ score, count }) => ({
    x1: score - 0.25,
    x2: score + 0.25,
    rows: (count / total) * scored,
  }));
  return [
    Plot.rectY(outlines, {
      x1: "x1",
      x2: "x2",
      y: "rows",
      fill: "none",
      stroke: "var(--paper)",
      strokeWidth: 1.5,
      strokeDasharray: "4 3",
    }),
  ];
}
