import { formatCount, formatScore, formatShare, formatShareDown } from "../../../src/format.ts";
import type { RunReport, ScoreReport } from "../../../src/page/contract.ts";
import { shortName } from "../parts/judge-name.ts";
import { Fact, Notice } from "../parts/words.tsx";
import { hashOf } from "../place.ts";
import type { Source } from "../source.ts";
import { Checks, EscalationFacts, Panel } from "./judges.tsx";
import { Benchmarks } from "./benchmarks.tsx";
import { Losses } from "./losses.tsx";
import { References } from "./references.tsx";
import { SeveralScores } from "./several-scores.tsx";
import { ThresholdPanel } from "./threshold-panel.tsx";

interface ScoresProps {
  readonly report: RunReport;
  readonly scores: ScoreReport;
  readonly source: Source;
  /** The threshold in the link. */
  readonly threshold: number | undefined;
  readonly onThreshold: (threshold: number) => void;
}

/** The judge's scores, and what each threshold would keep. */
export function ScoresView({ report, scores, source, threshold, onThreshold }: ScoresProps) {
  const { states, rows, mean, coverage, judge, question, alarms, gates, notes, isPartial, references } = scores;
  const { panel, escalation, checks } = scores;
  const unscored = Object.entries(states).filter(([state, count]) => state !== "scored" && count > 0);
  return (
    <>
      {alarms.map((alarm) => (
        <Notice kind="alarm">{alarm}</Notice>
      ))}
      {gates
        .filter(({ held }) => !held)
        .map(({ message }) => (
          <Notice kind="alarm">{message}</Notice>
        ))}
      {notes.map((note) => (
        <Notice kind="note">{note}</Notice>
      ))}
      <dl class="facts">
        <Fact name={isPartial ? "rows so far" : "rows"}>{formatCount(rows)}</Fact>
        <Fact name="judge" note={question}>
          {shortName(judge)}
        </Fact>
        <Fact name="scored" note={`${formatCount(states.scored ?? 0)} rows`}>
          {formatShareDown(coverage)}
        </Fact>
        <Fact name="mean score">{mean === null ? "–" : mean.toFixed(2)}</Fact>
        {unscored.map(([state, count]) => (
          <Fact name={state}>
            <a href={hashOf("rows", { state })}>{formatCount(count ?? 0)}</a>
          </Fact>
        ))}
      </dl>
      <ThresholdPanel
        run={report.run}
        scores={scores}
        arms={report.arms}
        source={source}
        revision={report.rows.revision}
        threshold={threshold}
        onThreshold={onThreshold}
      />
      {escalation && <EscalationFacts escalation={escalation} />}
      {panel && <Panel panel={panel} />}
      {checks && <Checks checks={checks} />}
      {references.map((reference, place) => (
        <References scores={scores} reference={reference} place={place} />
      ))}
      <Arms report={report} />
      <SeveralScores report={report} />
      {report.benchmarks.length > 0 && <Benchmarks benchmarks={report.benchmarks} />}
      {report.losses.map((losses) => (
        <Losses losses={losses} />
      ))}
    </>
  );
}

function Arms({ report: { arms } }: { report: RunReport }) {
  if (arms.length === 0) return null;
  return (
    <section aria-labelledby="arms">
      <h2 id="arms">Selected arms</h2>
      <ul class="arms">
        {arms.map(({ arm, choice, rows, share, cut, alarms, notes, isStale, state }) => (
          <li>
            <b>{arm}</b>: {choice}; <a href={hashOf("rows", { arm, isKept: "true" })}>{formatCount(rows)} rows</a> (
            {formatShare(share)}){cut !== null && `, cut at ${formatScore(cut)}`}
            {isStale && <em> from older ratings or other data</em>}
            {state !== "present" && <em> its file is {state}</em>}
            {[...alarms, ...notes].map((line) => (
              <p class="quiet">{line}</p>
            ))}
          </li>
        ))}
      </ul>
    </section>
  );
}
