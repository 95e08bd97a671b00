import { formatCount, formatDuration, formatNumbered, formatUsd } from "../../../src/format.ts";
import type { LeftOut, RunReport, StageReport } from "../../../src/page/contract.ts";
import { shellWord } from "../../../src/shell-word.ts";
import { CopyButton } from "../parts/copy.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { Plain } from "../parts/text.tsx";
import { Fact, Notice } from "../parts/words.tsx";

/** Where every figure comes from, and how to reproduce it. */
export function ProvenanceView({ report, leftOut }: { report: RunReport; leftOut: LeftOut | undefined }) {
  const { dataset, stages, scores, arms, alpagasus, madeAt, run, command: shownBy, money } = report;
  const gates = stages.flatMap(({ stage, name, gates: own }) =>
    own.map((gate) => ({ ...gate, stage: stage === "rate" ? stage : `${stage} ${name}` })),
  );
  const alarms = [...new Set([...(scores?.alarms ?? []), ...arms.flatMap((arm) => arm.alarms)])];
  const made = stages.flatMap(({ command }) => command ?? []);
  const commands = [...made, ...(shownBy === undefined ? [] : [shownBy])];
  return (
    <>
      <h2>Where these figures come from</h2>
      <dl class="facts">
        <Fact name="run">
          <code>{run}</code>
        </Fact>
        <Fact name="alpagasus">{alpagasus}</Fact>
        <Fact name="created">{madeAt.replace("T", " ").replace(/\..*/, " UTC")}</Fact>
        <Fact name="time of all stages">{formatDuration(stages.reduce((sum, { wallMs }) => sum + wallMs, 0))}</Fact>
        <Fact
          name="paid in total"
          note={
            money &&
            [
              money.perhapsPaidUsd > 0 &&
                `and at most ${formatUsd(money.perhapsPaidUsd)} for replies that never arrived`,
              money.paidUsd !== null &&
                money.unpricedCalls &&
                `without ${formatNumbered(money.unpricedCalls, "reply", "replies")} of unknown price`,
            ]
              .filter(Boolean)
              .join("; ")
          }
        >
          {money
            ? money.paidUsd === null
              ? "not known: no price"
              : formatUsd(money.paidUsd)
            : "nothing: no model was called"}
        </Fact>
      </dl>
      {dataset && (
        <>
          <h3>Data</h3>
          <dl class="facts">
            <Fact name="source">
              <Plain>{dataset.source}</Plain>
            </Fact>
            <Fact name="rows">{formatCount(dataset.rows)}</Fact>
            <Fact name="format" note={`${dataset.shape} shape`}>
              {dataset.format}
            </Fact>
            <Fact name="hash of all rows">
              <code>{dataset.hash}</code>
            </Fact>
          </dl>
          <ul>
            {dataset.files.map(({ path, bytes }) => (
              <li>
                <code>
                  <Plain>{path}</Plain>
                </code>
                , {formatCount(bytes)} bytes
              </li>
            ))}
          </ul>
        </>
      )}
      {alarms.map((alarm) => (
        <Notice kind="alarm">{alarm}</Notice>
      ))}
      <Table caption="Time and money of each stage" columns={stageColumns} rows={stages} />
      {gates.length > 0 && <Table caption="Gates" columns={gateColumns} rows={gates} isMarked={({ held }) => !held} />}
      <h3>Commands to reproduce it</h3>
      {made.length === 0 ? (
        <p class="quiet">The stages were called from a program, or by an older version: no command is known.</p>
      ) : (
        <div class="commands">
          <pre tabIndex={0}>
            <code>{commands.join("\n")}</code>
          </pre>
          <CopyButton text={() => commands.join("\n")}>copy</CopyButton>
        </div>
      )}
      <h3>Settings, seeds and hashes</h3>
      {stages.map(({ stage, name, details }) => (
        <details>
          <summary>
            {stage}: <Plain>{name}</Plain>
          </summary>
          <dl class="details">
            {details.map(([key, value]) => (
              <>
                <dt>{key}</dt>
                <dd>
                  <Plain>{value}</Plain>
                </dd>
              </>
            ))}
          </dl>
        </details>
      ))}
      {leftOut && <LeftOutSection leftOut={leftOut} run={run} />}
    </>
  );
}

function LeftOutSection({ leftOut, run }: { leftOut: LeftOut; run: string }) {
  const { rows, pairs, unscored, contradictory, cutTexts, textLimit } = leftOut;
  return (
    <>
      <h3>What this report leaves out</h3>
      {rows + pairs + cutTexts === 0 ? (
        <p>Nothing: every row and pair is in it, with its whole text.</p>
      ) : (
        <ul>
          {rows > 0 && (
            <li>
              {formatCount(rows)} rows are counted in all figures, but their texts are left out
              {unscored > 0 && `, ${formatCount(unscored)} of them without a score`}
            </li>
          )}
          {pairs > 0 && (
            <li>
              {formatCount(pairs)} pairs likewise
              {contradictory > 0 &&
                `, ${formatCount(contradictory)} of them doubtful: unread, or with orders that differ`}
            </li>
          )}
          {cutTexts > 0 && (
            <li>
              {formatCount(cutTexts)} texts are cut after {formatCount(textLimit)} characters
            </li>
          )}
        </ul>
      )}
      <p class="quiet">
        The report includes failed rows and contradictory pairs first, then rows around the cuts and at every score.{" "}
        <code>alpagasus view --run {shellWord(run)}</code> shows everything.
      </p>
    </>
  );
}

const stageColumns: readonly Column<StageReport>[] = [
  { name: "stage", show: ({ stage }) => stage, value: ({ stage }) => stage },
  { name: "name", show: ({ name }) => <Plain>{name}</Plain>, value: ({ name }) => name },
  {
    name: "started",
    show: ({ startedAt }) => startedAt.replace("T", " ").replace(/\..*/, ""),
    value: ({ startedAt }) => startedAt,
  },
  { name: "time", isNumber: true, show: ({ wallMs }) => formatDuration(wallMs), value: ({ wallMs }) => wallMs / 1000 },
  {
    name: "paid by this command",
    isNumber: true,
    show: ({ paidUsd, perhapsPaidUsd = 0 }) =>
      paidUsd === undefined
        ? "–"
        : `${paidUsd === null ? "unknown" : formatUsd(paidUsd)}${perhapsPaidUsd > 0 ? ` + at most ${formatUsd(perhapsPaidUsd)}` : ""}`,
    value: ({ paidUsd }) => paidUsd,
  },
  {
    name: "calls",
    isNumber: true,
    show: ({ calls }) => (calls ? formatCount(calls.made) : "–"),
    value: ({ calls }) => calls?.made,
  },
  {
    name: "from the store",
    isNumber: true,
    show: ({ calls }) => (calls ? formatCount(calls.stored) : "–"),
    value: ({ calls }) => calls?.stored,
  },
  {
    name: "failed",
    isNumber: true,
    show: ({ calls }) => (calls ? formatCount(calls.failed) : "–"),
    value: ({ calls }) => calls?.failed,
  },
  {
    name: "tokens in",
    isNumber: true,
    show: ({ tokens }) => (tokens ? formatCount(tokens.input) : "–"),
    value: ({ tokens }) => tokens?.input,
  },
  {
    name: "tokens out",
    isNumber: true,
    show: ({ tokens }) => (tokens ? formatCount(tokens.output) : "–"),
    value: ({ tokens }) => tokens?.output,
  },
];

interface NamedGate {
  readonly stage: string;
  readonly name: string;
  readonly held: boolean;
  readonly message: string;
}

const gateColumns: readonly Column<NamedGate>[] = [
  { name: "stage", show: ({ stage }) => <Plain>{stage}</Plain>, value: ({ stage }) => stage },
  { name: "gate", show: ({ name }) => name, value: ({ name }) => name },
  { name: "passed", show: ({ held }) => (held ? "yes" : "no"), value: ({ held }) => String(held) },
  { name: "measured", show: ({ message }) => <Plain>{message}</Plain>, value: ({ message }) => message },
];
