import { useState } from "preact/hooks";
import { formatCount, formatDuration, formatScore, formatShare, formatUsd } from "../../../src/format.ts";
import { shellWord } from "../../../src/shell-word.ts";
import type { RowLine, RunReport, ScoreReport, ThresholdTable } from "../../../src/page/contract.ts";
import { ScoreHistogram } from "../figures/score-histogram.tsx";
import { paper, paperShare, paperTraining } from "../paper.ts";
import { CopyButton } from "../parts/copy.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { Plain } from "../parts/text.tsx";
import { Fact, Notice } from "../parts/words.tsx";
import { hashOf } from "../place.ts";
import type { Source } from "../source.ts";
import { useLoaded } from "../use-loaded.ts";
import { edgeOf, edgeOfShare, keptAt, lastEdge, type Kept } from "../what-if.ts";

interface PanelProps {
  readonly run: string;
  readonly scores: ScoreReport;
  readonly arms: RunReport["arms"];
  readonly source: Source;
  /** Revision of the rows that examples are taken from. */
  readonly revision: string;
  readonly threshold: number | undefined;
  readonly onThreshold: (threshold: number) => void;
}

const nothing: ThresholdTable = {
  edges: [],
  rows: [],
  promptCharacters: [],
  outputCharacters: [],
  total: { rows: 0, promptCharacters: 0, outputCharacters: 0 },
};

/** The histogram with the threshold as a handle, and what the threshold keeps. */
export function ThresholdPanel({ run, scores, arms, source, revision, threshold, onThreshold }: PanelProps) {
  const table = scores.thresholds ?? nothing;
  const isReady = scores.thresholds !== undefined && table.edges.length > 0;
  const cut = arms.find((arm) => arm.cut !== null && !arm.isStale)?.cut ?? undefined;
  const wanted = threshold ?? cut;
  const edge = wanted === undefined ? edgeOfShare(table, paperShare) : Math.min(lastEdge(table), edgeOf(table, wanted));
  const kept = keptAt(table, edge);
  const move = (to: number) => onThreshold(table.edges[Math.max(0, Math.min(lastEdge(table), to))]!);
  const shown = (text: string) => (isReady ? text : "…");
  return (
    <section aria-labelledby="threshold">
      <h2 id="threshold">What a threshold would keep</h2>
      <ScoreHistogram scores={scores} table={table} edge={isReady ? edge : undefined} kept={kept} onMove={move} />
      <dl class="facts what-if" aria-live="polite">
        <div class="fact">
          <dt>
            <label for="threshold-value">threshold</label>
          </dt>
          <dd>
            <b>
              ≥{" "}
              <input
                id="threshold-value"
                type="number"
                step="any"
                disabled={!isReady}
                value={isReady ? formatScore(kept.threshold) : ""}
                onChange={({ currentTarget }) => {
                  if (currentTarget.value !== "") move(edgeOf(table, Number(currentTarget.value)));
                  currentTarget.value = formatScore(kept.threshold); // reset; the next render shows the threshold that was found
                }}
              />
            </b>
          </dd>
        </div>
        <Fact
          name="rows kept"
          note={isReady && <a href={hashOf("rows", { atLeast: kept.threshold, sort: "score" })}>show them</a>}
        >
          {shown(formatCount(kept.rows))}
        </Fact>
        <Fact name="share of all rows">{shown(formatShare(kept.share))}</Fact>
        <Fact name="mean prompt" note="characters">
          {shown(kept.meanPromptLength === null ? "–" : formatCount(kept.meanPromptLength))}
        </Fact>
        <Fact name="mean output" note="characters">
          {shown(kept.meanOutputLength === null ? "–" : formatCount(kept.meanOutputLength))}
        </Fact>
        <Fact name="share of all text">{shown(formatShare(kept.textShare))}</Fact>
      </dl>
      {isReady && <Ties arms={arms} kept={kept} />}
      <TrainingCost table={table} kept={kept} isReady={isReady} />
      {isReady && (
        <p class="command">
          <code>{selecting(kept.threshold, run)}</code>
          <CopyButton text={() => selecting(kept.threshold, run)}>copy</CopyButton>
        </p>
      )}
      {kept.categories.length > 0 && <Categories kept={kept} />}
      {isReady && !scores.isPartial && <Examples threshold={kept.threshold} source={source} revision={revision} />}
      {isReady && <WhatIfTable table={table} edge={edge} />}
    </section>
  );
}

function selecting(threshold: number, run: string): string {
  return `alpagasus select --min-score ${threshold} --run ${shellWord(run)}`;
}

/** Notes arms that are smaller than what their cut keeps, since only some of the rows that tie at it were drawn. */
function Ties({ arms, kept }: { arms: RunReport["arms"]; kept: Kept }) {
  const cutHere = arms.filter(({ cut, rows, isStale }) => cut === kept.threshold && rows !== kept.rows && !isStale);
  return (
    <>
      {cutHere.map(({ arm, rows }) => (
        <Notice kind="note">
          the arm {arm} has {formatCount(rows)} rows, not {formatCount(kept.rows)}: of the rows that score exactly{" "}
          {formatScore(kept.threshold)}, only some were drawn into it
        </Notice>
      ))}
    </>
  );
}

/** Training time and cost in proportion to steps, as in the paper: kept rows at a fixed batch size. */
function TrainingCost({ table, kept, isReady }: { table: ThresholdTable; kept: Kept; isReady: boolean }) {
  const [typed, setTyped] = useState<{ minutes?: number | undefined; usd?: number | undefined }>({});
  const { minutes, usd } = { minutes: table.fullMinutes, usd: table.fullUsd, ...typed };
  const ratio = kept.share > 0 ? `${(1 / kept.share).toFixed(1)}× less` : "–";
  const number = (text: string) => (text === "" || !(Number(text) >= 0) ? undefined : Number(text));
  return (
    <div class="training">
      <dl class="facts">
        <Fact name="training, by steps" note="against all rows">
          {isReady ? ratio : "…"}
        </Fact>
        <Fact name="training time">
          {minutes === undefined || !isReady ? "–" : formatDuration(minutes * kept.share * 60_000)}
        </Fact>
        <Fact name="training cost">{usd === undefined || !isReady ? "–" : formatUsd(usd * kept.share)}</Fact>
      </dl>
      <p class="inputs">
        Training on all rows takes{" "}
        <label>
          <span class="hidden">minutes of training on all rows</span>
          <input
            type="number"
            min="0"
            step="any"
            value={minutes ?? ""}
            onInput={({ currentTarget }) => setTyped({ ...typed, minutes: number(currentTarget.value) })}
          />{" "}
          minutes
        </label>{" "}
        and costs{" "}
        <label>
          <span class="hidden">US dollars of training on all rows</span>
          <input
            type="number"
            min="0"
            step="any"
            value={usd ?? ""}
            onInput={({ currentTarget }) => setTyped({ ...typed, usd: number(currentTarget.value) })}
          />{" "}
          US dollars
        </label>
        .{" "}
        <button type="button" class="small" onClick={() => setTyped(paperTraining)}>
          as in the paper (7B: {paperTraining.minutes} min, {formatUsd(paperTraining.usd)})
        </button>
      </p>
      <p class="quiet">Source of the paper's figures: {paper}.</p>
    </div>
  );
}

const categoryColumns: readonly Column<Kept["categories"][number]>[] = [
  { name: "category", show: ({ category }) => <Plain>{category}</Plain>, value: ({ category }) => category },
  { name: "rows kept", isNumber: true, show: ({ rows }) => formatCount(rows), value: ({ rows }) => rows },
  { name: "share of kept", isNumber: true, show: ({ share }) => formatShare(share), value: ({ share }) => share },
  { name: "share of all", isNumber: true, show: ({ ofAll }) => formatShare(ofAll), value: ({ ofAll }) => ofAll },
  {
    name: "change",
    show: ({ share, ofAll }) => (
      <span class="bars" aria-hidden="true">
        <i class="bar kept" style={{ width: `${100 * share}%` }} />
        <i class="bar rest" style={{ width: `${100 * ofAll}%` }} />
      </span>
    ),
  },
];

function Categories({ kept }: { kept: Kept }) {
  return <Table caption="Categories among the kept rows" columns={categoryColumns} rows={kept.categories} />;
}

const exampleCount = 3;
const settleMs = 150; // wait after the handle was moved

/** Rows just above and just below the threshold. */
function Examples({ threshold, source, revision }: { threshold: number; source: Source; revision: string }) {
  const [skipped, setSkipped] = useState({ threshold, offset: 0 });
  const offset = skipped.threshold === threshold ? skipped.offset : 0;
  const { value } = useLoaded(
    `${threshold} ${offset} ${revision}`,
    () =>
      Promise.all([
        source.rows({ atLeast: threshold, sort: "score", offset, limit: exampleCount }),
        source.rows({ below: threshold, sort: "score", isDescending: true, offset, limit: exampleCount }),
      ]),
    settleMs,
  );
  const sides = [
    { name: "Just above: at or over the threshold", page: value?.[0] },
    { name: "Just below", page: value?.[1] },
  ];
  return (
    <>
      <div class="sides examples">
        {sides.map(({ name, page }) => (
          <div>
            <h3>{name}</h3>
            <ol class="cards">
              {page?.rows.map((row) => (
                <ExampleCard row={row} />
              ))}
            </ol>
            {page?.rows.length === 0 && <p class="quiet">none{source.leftOut && " in this report"}</p>}
          </div>
        ))}
      </div>
      <button type="button" onClick={() => setSkipped({ threshold, offset: offset + exampleCount })}>
        Other examples
      </button>
    </>
  );
}

function ExampleCard({ row: { index, score, instruction, output, outputLength } }: { row: RowLine }) {
  return (
    <li>
      <p class="card-head">
        <a href={hashOf("rows", { row: index })}>row {formatCount(index)}</a>
        <b>{score === null ? "–" : formatScore(score)}</b>
      </p>
      <p class="foreign clipped" dir="auto">
        <Plain>{instruction}</Plain>
      </p>
      <p class="foreign clipped quiet" dir="auto">
        <Plain>{output}</Plain>
      </p>
      <p class="quiet">{formatCount(outputLength)} characters</p>
    </li>
  );
}

const listedThresholds = 12;

function WhatIfTable({ table, edge }: { table: ThresholdTable; edge: number }) {
  const last = lastEdge(table);
  const step = Math.max(1, Math.ceil((last + 1) / listedThresholds));
  const edges = [...new Set([...Array.from({ length: listedThresholds + 1 }, (_, i) => i * step), edge])]
    .filter((i) => i <= last)
    .toSorted((a, b) => a - b);
  const rows = edges.map((i) => ({ i, ...keptAt(table, i) }));
  const columns: readonly Column<(typeof rows)[number]>[] = [
    {
      name: "at least",
      isNumber: true,
      show: ({ threshold }) => formatScore(threshold),
      value: ({ threshold }) => threshold,
    },
    { name: "rows", isNumber: true, show: (kept) => formatCount(kept.rows), value: (kept) => kept.rows },
    { name: "share", isNumber: true, show: ({ share }) => formatShare(share), value: ({ share }) => share },
    {
      name: "mean prompt, characters",
      isNumber: true,
      show: ({ meanPromptLength }) => (meanPromptLength === null ? "–" : formatCount(meanPromptLength)),
      value: ({ meanPromptLength }) => meanPromptLength,
    },
    {
      name: "mean output, characters",
      isNumber: true,
      show: ({ meanOutputLength }) => (meanOutputLength === null ? "–" : formatCount(meanOutputLength)),
      value: ({ meanOutputLength }) => meanOutputLength,
    },
    {
      name: "share of text",
      isNumber: true,
      show: ({ textShare }) => formatShare(textShare),
      value: ({ textShare }) => textShare,
    },
    {
      name: "training, share of steps",
      isNumber: true,
      show: ({ share }) => (share > 0 ? `${formatShare(share)} (${(1 / share).toFixed(1)}× less)` : "–"),
      value: ({ share }) => share,
    },
  ];
  return (
    <Table caption="What each threshold would keep" columns={columns} rows={rows} isMarked={({ i }) => i === edge} />
  );
}
