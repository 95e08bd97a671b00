import { reopenDataset } from "../dataset/reopen.ts";
import { formatCount, formatNumbered } from "../format.ts";
import type { RatedManifest } from "../run/manifest.ts";
import type { ArmSummary } from "../run/records/arm.ts";
import { typedCommand } from "../run/recorded-path.ts";
import { requireRatings, runFolder, updateManifest } from "../run/run-folder.ts";
import { factNames } from "../selection/fact-columns.ts";
import { rowCoverageGate } from "./coverage.ts";
import { type Fates, immediateFates, isControl, pickedFates } from "./select/fates.ts";
import { type Plan, type SelectOptions, describeChoice, isDiverseByVectors, planSelection } from "./select/plan.ts";
import { uses } from "../selection/sql-names.ts";
import { alarmsOfWords } from "../selection/watch.ts";
import { openRatedRows } from "./select/rated-rows.ts";
import { openRowVectors, type RowVectors } from "./select/row-vectors.ts";
import { type Written, writeArm } from "./select/write-arm.ts";
import type { Dataset } from "../dataset/dataset.ts";

const tieAlarm = 0.1; // alarm when more than this share of the kept rows was drawn from a tie

/**
 * Selects rows of a rated dataset into an arm. Writes the kept rows in order, in the dataset's own format with unchanged
 * text, and `ARM.decisions.jsonl` with the decision about every row and its reason.
 *
 * @throws UsageError for options that make no sense together or on this judge's scale
 * @throws RunError when there are no ratings, or they do not belong to the current data
 */
export async function select(options: SelectOptions): Promise<ArmSummary> {
  const startedAt = new Date();
  const run = runFolder(options.run);
  const manifest = await requireRatings(run);
  const plan = planSelection(options, manifest);
  const dataset = await reopenDataset(manifest.dataset, run, options.signal);
  const rated = await openRatedRows(options, manifest, dataset, run);
  using vectors = await openRowVectors(options, manifest, run);
  const fates = plan.isImmediate
    ? immediateFates(plan, options, manifest.dataset.rows)
    : await pickedFates(plan, options, manifest, dataset, run, rated, vectors);
  const written = await writeArm(plan, options, dataset, run, rated, fates.table, manifest);
  const controlled = isControl(plan, options) ? manifest.arms[options.like ?? "selected"] : undefined;
  const summary = {
    ...summarise(plan, options, manifest, dataset, written, fates, Object.keys(rated.scoreHashes), startedAt, vectors),
    ...(controlled?.candidatesHash !== undefined && {
      controls: {
        arm: controlled.arm,
        ...(!options.quota && { rows: controlled.rows }), // a quota says how many
        candidatesHash: controlled.candidatesHash,
      },
    }),
    ...(options.by !== undefined && { by: options.by, histogram: [...(rated.histogram ?? [])] }),
    ...(Object.keys(rated.scoreHashes).length > 0 && { scoreHashes: { ...rated.scoreHashes } }),
    ...(vectors && {
      vectors: {
        name: vectors.embedding.name,
        sha256: vectors.embedding.vectors.sha256,
        ...(vectors.target && { target: vectors.target.hash, targetSha256: vectors.target.sha256 }),
      },
    }),
  };
  await updateManifest(run, (latest = manifest) => ({ ...latest, arms: { ...latest.arms, [plan.arm]: summary } }));
  return summary;
}

/** What a choice by vectors did, a line each. */
function describeVectors(
  { method }: Plan,
  options: SelectOptions,
  reasons: Written["reasons"],
  taken: Fates["taken"],
): string[] {
  const { dedup, diverse } = options;
  const notes: string[] = [];
  if (dedup === "semantic" && !reasons["semantic duplicate"])
    notes.push("--dedup semantic left out no row: none of those looked at is so similar to a better one");
  if (diverse !== undefined && isDiverseByVectors(options) && !reasons["too close"])
    notes.push("--diverse left out no row: none of those looked at is so near to a better one");
  if (method !== "toward" || !taken || taken.length === 0) return notes;
  const similarities = taken.map(({ similarity }) => similarity).toSorted((a, b) => a - b);
  const counts = [...Map.groupBy(taken, ({ target }) => target).values()].map(({ length }) => length);
  notes.push(
    `the rows' similarity to their examples (cosine) is ${similarities[0]!.toFixed(2)} to ${similarities.at(-1)!.toFixed(2)}, half of them at least ${similarities[Math.floor(similarities.length / 2)]!.toFixed(2)}; an example has ${Math.min(...counts)} to ${Math.max(...counts)} of them`,
  );
  return notes;
}

function summarise(
  plan: Plan,
  options: SelectOptions,
  manifest: RatedManifest,
  { rewritten }: Dataset,
  written: Written,
  { picked, leftOut = 0, withoutVector = 0, taken }: Fates,
  usedScores: readonly string[],
  startedAt: Date,
  vectors: RowVectors | undefined,
): ArmSummary {
  const { whatIf, armTally, rows, totalRows, reasons } = written;
  const full = whatIf.all();
  const notes: string[] = rewritten === undefined ? [] : [rewritten];
  const alarms: string[] = [
    ...(options.by === undefined || uses(options.by, "score") ? manifest.rate.alarms : []),
    ...usedScores.flatMap((name) => [
      ...manifest.scores![name]!.alarms.map((alarm) => `${name}: ${alarm}`),
      ...manifest.scores![name]!.gates.filter(({ held }) => !held).map(({ message }) => `${name}: ${message}`),
    ]),
  ];
  if (vectors) {
    const { name, gates } = vectors.embedding;
    alarms.push(...gates.filter(({ held }) => !held).map(({ message }) => `${name}: ${message}`));
    notes.push(...describeVectors(plan, options, written.reasons, taken));
    const lost = vectors.targets.filter((target) => target === undefined).length;
    if (lost > 0)
      alarms.push(
        `${formatNumbered(lost, "example", "examples")} of ${formatCount(vectors.targets.length)} in ${options.toward} ${lost === 1 ? "has" : "have"} no vector by ${name}: no row was taken for ${lost === 1 ? "it" : "them"}`,
      );
    if (withoutVector > 0)
      notes.push(
        `${formatNumbered(withoutVector, "row has", "rows have")} no vector by ${name}, and ${plan.method === "toward" || plan.method === "representative" ? "could not be kept" : "were compared with none"}`,
      );
  }
  if (written.watched) alarms.push(...alarmsOfWords(written.watched, rows / totalRows));
  if (
    picked &&
    plan.method === "score" &&
    picked.tied > picked.tiedKept &&
    (plan.count !== undefined || options.quota)
  ) {
    const where =
      options.per !== undefined || options.quota
        ? `the cuts of their groups (${options.per ?? options.quota!.column})`
        : `the threshold, ${written.cut}`;
    const message = `${formatCount(picked.tied)} rows tied at ${where}; ${formatCount(picked.tiedKept)} of them picked at random (seed ${plan.seed})`;
    (picked.tiedKept > tieAlarm * rows ? alarms : notes).push(message);
  }
  if (plan.count !== undefined && rows < plan.count)
    notes.push(`${formatCount(plan.count)} rows were asked for; no more than ${formatCount(rows)} could be kept`);
  const { escalation } = manifest.rate;
  if (escalation && options.by === undefined && plan.method === "score" && options.minScore !== escalation.minScore)
    notes.push(
      `rows that ${escalation.to} did not rate are scored by their probability of reaching ${escalation.minScore}, not on its scale; the estimates hold only for --min-score ${escalation.minScore}`,
    );
  if (options.per !== undefined && factNames.includes(options.per))
    notes.push(`--per ${options.per} uses the data's column of that name, not the value from the rating`);
  const isTrainingKnown = Object.values(options.fullTraining ?? {}).some((value) => value !== undefined);
  if (isTrainingKnown && !plan.isPureCut)
    notes.push(
      "--full-minutes and --full-usd: there is no table of thresholds to show time and money in, since more than the score decides",
    );
  if (leftOut > 0)
    notes.push(
      `drawn from the same rows as ${options.like ?? "selected"}: ${formatCount(leftOut)} that it could not keep (filtered, duplicate or contaminated) are left out`,
    );
  const unrated = totalRows - written.scoredRows;
  if (unrated > 0)
    notes.push(
      `${formatCount(unrated)} rows have no ${options.by === undefined ? "score" : `value of ${options.by}`}${plan.method === "score" ? " and could not be kept" : ""}`,
    );
  return {
    arm: plan.arm,
    method: plan.method,
    choice:
      plan.count !== undefined && rows < plan.count
        ? `${describeChoice(plan.method, options, rows)} (${formatCount(plan.count)} were asked for)`
        : plan.choice,
    seed: plan.seed,
    path: written.path,
    decisionsPath: written.decisionsPath,
    files: written.files,
    rows,
    totalRows,
    share: rows / totalRows,
    cut: plan.isPureCut ? written.cut : null,
    ...armTally.describe(full),
    watched: written.watched && [...written.watched],
    reasons,
    coverage: written.scoredRows / totalRows,
    full,
    whatIf: plan.isPureCut ? whatIf.thresholds(written.cut ?? undefined) : [],
    notes,
    alarms,
    gates: [rowCoverageGate(written.scoredRows / totalRows, options.minCoverage)],
    ratingsHash: manifest.rate.ratingsHash,
    candidatesHash: written.candidatesHash,
    ...typedCommand(options.command, runFolder(options.run)),
    startedAt: startedAt.toISOString(),
    wallMs: Date.now() - startedAt.getTime(),
  };
}
