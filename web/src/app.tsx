import { useEffect, useState } from "preact/hooks";
import { formatCount, formatNumbered, formatUsd } from "../../src/format.ts";
import type { RunReport } from "../../src/page/contract.ts";
import { Notice, TrustLine } from "./parts/words.tsx";
import { hashOf, usePlace, type View } from "./place.ts";
import type { Source } from "./source.ts";
import { useTheme } from "./theme.ts";
import { ExperimentView } from "./views/experiment.tsx";
import { PairsView } from "./views/pairs.tsx";
import { ProvenanceView } from "./views/provenance.tsx";
import { RowsView } from "./views/rows.tsx";
import { ScoresView } from "./views/scores.tsx";
import { VerdictView } from "./views/verdict.tsx";

const names: Readonly<Record<View, string>> = {
  experiment: "Experiment",
  scores: "Scores",
  verdict: "Verdict",
  rows: "Rows",
  pairs: "Pairs",
  provenance: "Provenance",
};

/** The page of one run. */
export function App({ source }: { source: Source }) {
  const [report, setReport] = useState<RunReport>();
  const [problem, setProblem] = useState<string>();
  const [place, go] = usePlace();
  const [theme, turnTheme] = useTheme();
  useEffect(
    () =>
      source.follow((latest) => {
        setReport(latest);
        setProblem(undefined);
      }, setProblem),
    [source],
  );
  if (!report)
    return (
      <main class="empty">
        {problem === undefined ? <p>Reading the run …</p> : <Notice kind="alarm">{problem}</Notice>}
      </main>
    );
  const there = viewsOf(report);
  const view = place.view !== undefined && there.includes(place.view) ? place.view : there[0]!;
  const { values } = place;
  return (
    <>
      <header>
        <div class="title">
          <h1>{report.title ?? report.run}</h1>
          <p class="quiet">
            {report.dataset && `${formatCount(report.dataset.rows)} rows of ${report.dataset.source}`}
            {report.dataset && report.comparisons.length > 0 && " · "}
            {report.comparisons.length > 0 && formatNumbered(report.comparisons.length, "comparison", "comparisons")}
          </p>
          <button type="button" class="small theme" onClick={turnTheme}>
            {theme === "dark" ? "light" : "dark"} colours
          </button>
        </div>
        <p class="head">
          {report.head.what} {report.head.found !== undefined && <b>{report.head.found}</b>}
        </p>
        {report.head.trust && <TrustLine trust={report.head.trust} />}
        <nav aria-label="views">
          {there.map((name) => (
            <a href={hashOf(name)} aria-current={name === view ? "page" : undefined}>
              {names[name]}
            </a>
          ))}
        </nav>
      </header>
      <main>
        {problem !== undefined && <Notice kind="alarm">{problem}</Notice>}
        {report.problems.map((line) => (
          <Notice kind="alarm">{line}</Notice>
        ))}
        <Working report={report} />
        {view === "experiment" && report.experiment && (
          <ExperimentView report={report} experiment={report.experiment} />
        )}
        {view === "scores" && report.scores && (
          <ScoresView
            report={report}
            scores={report.scores}
            source={source}
            threshold={numberOf(values["threshold"])}
            onThreshold={(threshold) => go("scores", { ...values, threshold })}
          />
        )}
        {view === "verdict" && (
          <VerdictView
            report={report}
            chosen={values["comparison"]}
            onChoose={(comparison) => go("verdict", { comparison })}
          />
        )}
        {view === "rows" && (
          <RowsView report={report} source={source} values={values} onChange={(to) => go("rows", to)} />
        )}
        {view === "pairs" && (
          <PairsView report={report} source={source} values={values} onChange={(to) => go("pairs", to)} />
        )}
        {view === "provenance" && <ProvenanceView report={report} leftOut={source.leftOut} />}
      </main>
      <footer class="quiet">
        alpagasus {report.alpagasus}
        {source.leftOut && source.leftOut.rows + source.leftOut.pairs + source.leftOut.cutTexts > 0 && (
          <>
            {" "}
            · this report leaves some texts out; <a href={hashOf("provenance")}>see which</a>
          </>
        )}
      </footer>
    </>
  );
}

/** Parses a number from a link; undefined if it is none. */
function numberOf(text: string | undefined): number | undefined {
  return text === undefined || text === "" || !Number.isFinite(Number(text)) ? undefined : Number(text);
}

/** The views that a run has; a run that only compares has no rows. */
function viewsOf({ experiment, scores, comparisons, dataset, working }: RunReport): View[] {
  const views: View[] = experiment ? ["experiment"] : [];
  if (comparisons.length > 0 && !scores) views.push("verdict");
  if (scores) views.push("scores");
  if (comparisons.length > 0 && scores) views.push("verdict");
  if (dataset || scores || working.some(({ rating }) => rating)) views.push("rows");
  if (comparisons.length > 0) views.push("pairs");
  return [...views, "provenance"];
}

function Working({ report: { working, rows, scores } }: { report: RunReport }) {
  return (
    <>
      {working.map(({ stage, doing, done, total, unit, calls }) => (
        <div class="working" role="status">
          <label>
            {stage} is {doing}: {formatCount(done)}
            {total !== undefined && ` of ${formatCount(total)}`} {unit}
            {calls && calls.paidUsd !== null && `, ${formatUsd(calls.paidUsd)} paid`}
            {calls && calls.failed > 0 && `, ${formatCount(calls.failed)} failed`}
            <progress max={total ?? 1} value={total === undefined ? undefined : done} />
          </label>
        </div>
      ))}
      {scores && !scores.isPartial && rows.isReading && (
        <div class="working" role="status">
          <label>
            reading the rows: {formatCount(rows.read)} of {formatCount(rows.total)}
            <progress max={rows.total} value={rows.read} />
          </label>
        </div>
      )}
    </>
  );
}
