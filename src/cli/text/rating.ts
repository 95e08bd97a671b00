import { dirname } from "node:path";
import { styleText } from "node:util";
import { runFlag } from "../../run/run-folder.ts";
import type { AgreementRecord } from "../../run/records/rating.ts";
import type { CallsRecord, Gate } from "../../run/records/common.ts";
import type { RatedManifest } from "../../run/manifest.ts";
import { ratingStates } from "../../run/rating.ts";
import { renderHistogram } from "./histogram.ts";
import { formatCount, formatNumbered, formatDuration, formatScore, formatShare, formatUsd } from "../../format.ts";
import { renderEscalation, renderPanel } from "./panel.ts";
import { plainText } from "./plain-text.ts";
import { renderTrust } from "./trust.ts";
import { weighRating } from "../../health/trust.ts";
import { renderTable } from "./table.ts";

/** What `rate` prints when it is done. @param name of a further score, where it is one */
export function renderRating(
  { dataset, rate }: Pick<RatedManifest, "dataset" | "rate">,
  ratingsPath: string,
  name?: string,
): string {
  const rows = Object.values(rate.states).reduce((sum, count) => sum + count, 0);
  const states = ratingStates.flatMap((state) =>
    rate.states[state] === undefined ? [] : [`${formatCount(rate.states[state])} ${state}`],
  );
  const pending = rate.calls ? (rate.states.pending ?? 0) : 0;
  const asked = rate.calls ? rate.calls.made + rate.calls.shared : rows;
  const speed = `${formatDuration(rate.wallMs)}${asked > 0 ? `, ${formatSpeed(asked / Math.max(rate.wallMs / 1000, 1e-3))} rows a second` : ""}`;
  const parts = [
    `\n${styleText("bold", `Rated ${pending > 0 ? `${formatCount(rows - pending)} of ` : ""}${formatNumbered(rows, "row", "rows")} of ${plainText(dataset.source)}`)} (${dataset.format}, ${dataset.shape} shape) with ${plainText(rate.judge)}${rate.question?.rubric === undefined ? "" : ` and the rubric ${rate.question.rubric}`}${name === undefined ? "" : `, as ${name}`} in ${speed}`,
    renderTrust(weighRating(rate)),
    ...rate.notes.map((note) => `  note: ${plainText(note)}`),
    rate.hasOnlyMarks ? "" : `\n${renderHistogram(rate.histogram)}\n`,
    rate.hasOnlyMarks
      ? `  ${formatCount(Object.keys(rate.marks ?? {}).length)} scores of the file's columns; it has no column score`
      : `  ${states.join(", ")}${rate.mean === null ? "" : `; mean score ${rate.mean.toFixed(2)}`}`,
    ...renderMarks(rate.marks, name ?? "score"),
    ...(rate.calls
      ? renderCalls(rate.calls, { ...rate.states, unasked: rate.unasked }, "rows", {
          where: optionsOf(ratingsPath, name),
          file: ratingsPath,
        })
      : []),
    ...renderWarnings(rate.alarms, rate.gates),
    ...(rate.panel ? renderPanel(rate.panel) : []),
    ...(rate.escalation ? renderEscalation(rate.escalation, dirname(ratingsPath)) : []),
    ...(rate.agreement ? [renderAgreement(rate.agreement)] : []),
    `\n  ratings  ${plainText(ratingsPath)}`,
  ];
  return `${parts.join("\n")}\n`;
}

/** The options by which commands find ratings. */
function optionsOf(ratingsPath: string, name: string | undefined): string {
  const run = name === undefined ? dirname(ratingsPath) : dirname(dirname(ratingsPath)); // scores/NAME.jsonl
  return `${name === undefined ? "" : ` --as ${name}`}${runFlag(run)}`;
}

/**
 * What the calls did and cost, and how to go on if they stopped.
 *
 * @param where options that name these replies
 * @param file the file of the ratings, for messages
 * @param isAlone whether nothing else of the command is paid from the same budget
 */
export function renderCalls(
  calls: CallsRecord,
  {
    pending = 0,
    unparsable = 0,
    refused = 0,
    failed = 0,
    unasked = 0,
  }: Readonly<Partial<Record<"pending" | "unparsable" | "refused" | "failed" | "unasked", number | undefined>>>,
  what = "rows",
  {
    where = "",
    isAlone = true,
    file = "ratings.jsonl",
  }: { readonly where?: string; readonly isAlone?: boolean; readonly file?: string } = {},
): string[] {
  const counts = [
    `${formatCount(calls.made)} made in ${formatCount(calls.attempts)} attempts`,
    `${formatCount(calls.stored)} in the store`,
    ...(calls.shared > 0 ? [`${formatCount(calls.shared)} shared with identical prompts`] : []),
  ];
  const lines = [
    `  calls   ${counts.join(", ")}; ${formatCount(calls.inputTokens)} tokens in, ${formatCount(calls.outputTokens)} out`,
    `  money   ${describeMoney(calls)}`,
  ];
  if (unparsable > 0)
    lines.push(
      `  ${formatNumbered(unparsable, "reply has", "replies have")} no readable score; alpagasus replies --state unparsable${where} shows them`,
    );
  if (refused > 0)
    lines.push(
      `  ${formatNumbered(refused, "row was", "rows were")} refused; alpagasus replies --state refused${where} shows what was said`,
    );
  if (unasked > 0)
    lines.push(
      `  ${formatNumbered(unasked, "row was", "rows were")} not asked about: the "detail" in ${plainText(file)} says why`,
    );
  if (calls.failed > 0)
    lines.push(`  ${formatNumbered(calls.failed, "call", "calls")} failed; --retry-failed repeats them`);
  else if (failed > unasked && what === "rows")
    lines.push(`  ${formatNumbered(failed - unasked, "call", "calls")} failed before; --retry-failed repeats them`);
  if (calls.stopped === undefined)
    return calls.failure === undefined
      ? lines
      : [...lines, styleText("yellow", `  Careful: ${plainText(calls.failure)}`)];
  const why =
    calls.failure !== undefined
      ? `Stopped: ${plainText(calls.failure)}`
      : calls.stopped === "budget"
        ? calls.highestUsd === undefined
          ? "The budget is spent"
          : `The budget bears no further call, which may cost up to ${formatUsd(calls.highestUsd)}${calls.batchedUsd === undefined ? "" : `, beside the ${formatUsd(calls.batchedUsd)} that batches at the provider have reserved`}`
        : calls.stopped === "batches"
          ? "Batches are in progress at the provider"
          : "Interrupted";
  const cost = calls.finishUsd == null ? "" : `; finishing would cost about ${formatUsd(calls.finishUsd)} more`;
  const advice =
    calls.stopped === "budget"
      ? `${calls.batchedUsd === undefined ? "" : "continue when the batches have ended, with --batch where this run handed them in, or "}continue with a higher --budget (it includes all that this run has paid${isAlone ? enoughBudget(calls) : ", and all comparisons of this command share it"})`
      : calls.stopped === "batches"
        ? "run the same command with --batch to continue"
        : calls.failure === undefined
          ? "run the same command to continue"
          : "run the same command to continue, when that is mended";
  lines.push(
    styleText(
      "yellow",
      `  ${why}. ${formatCount(pending)} ${what} are still pending${cost}. All stored replies are kept; ${advice}.`,
    ),
  );
  return lines;
}

/** The budget that is likely to be enough: what was paid, what finishing costs, and room for the last call. */
function enoughBudget({ runPaidUsd, runPerhapsPaidUsd, batchedUsd = 0, finishUsd, highestUsd }: CallsRecord): string {
  if (runPaidUsd === null || finishUsd == null || highestUsd === undefined) return "";
  const usd = 1.1 * (runPaidUsd + runPerhapsPaidUsd + batchedUsd + finishUsd + highestUsd);
  return `; ${formatUsd(Number(usd.toPrecision(2)))} is likely to be enough`;
}

function describeMoney(calls: CallsRecord): string {
  if (calls.paidUsd === null) return "unknown: no price is known for this model; give one with --price INPUT/OUTPUT";
  const perhaps = (usd: number) => (usd > 0 ? ` (and up to ${formatUsd(usd)} for attempts whose reply was lost)` : "");
  const run =
    calls.runPaidUsd === null || calls.runPaidUsd + calls.runPerhapsPaidUsd === calls.paidUsd + calls.perhapsPaidUsd
      ? ""
      : `; this run in total ${formatUsd(calls.runPaidUsd)}${perhaps(calls.runPerhapsPaidUsd)}`;
  const budget = calls.budgetUsd === undefined ? "" : ` of ${formatUsd(calls.budgetUsd)}`;
  return `${formatUsd(calls.paidUsd)}${perhaps(calls.perhapsPaidUsd)}${run}${budget}, by ${plainText(calls.priceBasis ?? "")}`;
}

/** Alarms, and gates that did not hold. */
export function renderWarnings(alarms: readonly string[], gates: readonly Gate[]): string[] {
  return [
    ...alarms.map((alarm) => styleText("yellow", `  ALARM: ${plainText(alarm)}`)),
    ...gates.filter((gate) => !gate.held).map((gate) => styleText("red", `  FAILED ${gate.name}: ${gate.message}`)),
  ];
}

function renderAgreement({ reference, rows, spearman, writtenSpearman, thresholds }: AgreementRecord): string {
  const figure = (value: number | null) => (value === null ? "-" : value.toFixed(2));
  const table = renderTable(
    ["reference at least", "rows", "AUC", "precision", "by chance"],
    ["right", "right", "right", "right", "right"],
    thresholds.map((line) => [
      String(line.threshold),
      formatCount(line.rows),
      figure(line.auc),
      line.precision === null ? "-" : formatShare(line.precision),
      formatShare(line.share),
    ]),
  );
  return `\n  Agreement with ${plainText(reference)} on ${formatCount(rows)} rows: Spearman ${figure(spearman.value)} (95 % interval ${figure(spearman.low)} to ${figure(spearman.high)})${writtenSpearman ? `; with the scores as written ${figure(writtenSpearman.value)} (${figure(writtenSpearman.low)} to ${figure(writtenSpearman.high)})` : ""}${thresholds.length === 0 ? "" : `\n${table}\n  precision: the share of this judge's top rows (as many as the reference keeps) that the reference keeps too`}`;
}

/** A line for each mark: its name in SQL, how many rows have it, and its mean. */
function renderMarks(marks: RatedManifest["rate"]["marks"], name: string): string[] {
  const list = Object.entries(marks ?? {});
  if (list.length === 0) return [];
  const rows = list.map(([mark, { rows: count, mean }]) => [
    plainText(/^[a-z_]\w*$/i.test(mark) ? `${name}.${mark}` : `${name}."${mark}"`),
    formatCount(count),
    mean === null ? "-" : formatScore(mean),
  ]);
  return ["", renderTable(["score, for --by and --where", "rows", "mean"], ["left", "right", "right"], rows)];
}

function formatSpeed(speed: number): string {
  return speed < 10 ? speed.toFixed(1) : formatCount(speed);
}
