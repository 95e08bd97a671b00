import { formatCount, formatScore, formatUsd } from "../../../src/format.ts";
import type { RowDetail, RunReport } from "../../../src/page/contract.ts";
import { shellWord } from "../../../src/shell-word.ts";
import { DetailPanel } from "../parts/detail-panel.tsx";
import { shortName } from "../parts/judge-name.ts";
import type { Values } from "../parts/list.ts";
import { ConversationView } from "../parts/conversation.tsx";
import { LongText, Plain } from "../parts/text.tsx";
import { Fact, Notice, Score } from "../parts/words.tsx";
import { hashOf } from "../place.ts";
import type { Source } from "../source.ts";
import { useLoaded } from "../use-loaded.ts";

interface PanelProps {
  readonly index: number;
  readonly values: Values;
  /** The rows of the list, in its order. */
  readonly list: readonly number[];
  readonly report: RunReport;
  readonly source: Source;
  readonly onClose: () => void;
}

/** One row in full. */
export function RowPanel({ index, values, list, report, source, onClose }: PanelProps) {
  const at = list.indexOf(index);
  const [before, after] = at < 0 ? [index - 1, index + 1] : [list[at - 1], list[at + 1]];
  const {
    value: row,
    problem,
    isLoading,
  } = useLoaded(JSON.stringify([index, report.rows.revision]), async () =>
    Number.isSafeInteger(index) && index >= 0 ? source.row(index) : undefined,
  );
  const linkTo = (to: number | undefined) =>
    to === undefined || to < 0 ? undefined : hashOf("rows", { ...values, row: to });
  return (
    <DetailPanel
      what="row"
      heading={`Row ${Number.isFinite(index) ? formatCount(index) : "?"}`}
      of={String(index)}
      previous={linkTo(before)}
      next={linkTo(after)}
      problem={problem}
      isLoading={isLoading}
      missing={
        source.leftOut && index < report.rows.read
          ? `This report contains a sample of the rows, and row ${formatCount(index)} is not in it. It is counted in all figures; alpagasus view --run ${shellWord(report.run)} shows it.`
          : `There is no such row${report.rows.isReady ? "" : " yet"}.`
      }
      onClose={onClose}
    >
      {row?.index === index ? <Row row={row} report={report} /> : undefined}
    </DetailPanel>
  );
}

function Row({ row, report: { scores, arms } }: { row: RowDetail; report: RunReport }) {
  const { said, intrusions } = row;
  return (
    <>
      <dl class="facts">
        <Fact name="state" note={row.detail}>
          {row.state}
        </Fact>
        <Fact name="score" note={scores?.judge}>
          <Score of={row.score} />
        </Fact>
        {scores?.references.map(({ name }, i) => (
          <Fact name="score" note={shortName(name)}>
            <Score of={row.references[i] ?? null} />
          </Fact>
        ))}
        {arms.map(({ arm }) => (
          <Fact name={arm}>{row.fates[arm] ?? "–"}</Fact>
        ))}
        {row.category !== undefined && (
          <Fact name="category">
            <Plain>{row.category}</Plain>
          </Fact>
        )}
        {row.id !== undefined && (
          <Fact name="id">
            <Plain>{row.id}</Plain>
          </Fact>
        )}
        <Fact name="hash">
          <code>{row.hash}</code>
        </Fact>
      </dl>
      {intrusions && (
        <Notice kind="alarm">
          this row contains words of the rubric itself: <Plain>{intrusions.join(", ")}</Plain>
        </Notice>
      )}
      {row.turnsLeftOut !== undefined && (
        <Notice kind="note">
          {formatCount(row.turnsLeftOut)} turns in the middle were not shown to the judge, to stay under the limit of a
          prompt
        </Notice>
      )}
      {row.conversation ? <ConversationView conversation={row.conversation} /> : <Texts row={row} />}
      {said && (
        <>
          <h4>What the judge said</h4>
          {said.reply ? (
            <LongText whole={said.reply} label="the judge's reply" />
          ) : (
            <p class="quiet">no reply is stored</p>
          )}
          <p class="quiet">
            {[
              said.build,
              said.finish && `ended by ${said.finish}`,
              said.outputTokens !== undefined && `${formatCount(said.outputTokens)} tokens`,
              said.costUsd !== undefined && formatUsd(said.costUsd),
              said.call && `call ${said.call.slice(0, 12)}`,
            ]
              .filter(Boolean)
              .join(" · ")}
          </p>
        </>
      )}
      {row.score !== null && (
        <p>
          <a href={hashOf("scores", { threshold: row.score })}>Show the threshold at {formatScore(row.score)}</a>
        </p>
      )}
    </>
  );
}

function Texts({ row }: { row: RowDetail }) {
  return (
    <>
      <h4>Instruction</h4>
      <LongText whole={row.instructionText} label="instruction" />
      {row.inputText.text !== "" && (
        <>
          <h4>Input</h4>
          <LongText whole={row.inputText} label="input" />
        </>
      )}
      <h4>Output</h4>
      <LongText whole={row.outputText} label="output" />
    </>
  );
}
