import { comparisonName } from "../comparison/comparison-name.ts";
import { hash } from "node:crypto";
import { basename, extname } from "node:path";
import { commandsBefore, concludeIfComplete } from "../comparison/adjust.ts";
import { latestFailures } from "../run/judge-checks.ts";
import { measureOutcomeAgreement, pairKey } from "../comparison/agreement.ts";
import { analyse } from "../comparison/analyse.ts";
import { toComparisonRecord } from "../comparison/comparison-record.ts";
import { type Answers } from "../comparison/answers.ts";
import { describeUnused, matchOutcomes, type OtherOutcomes } from "../comparison/match-outcomes.ts";
import { type JudgedTurns, pairAnswers, describeGaps } from "../comparison/pair-answers.ts";
import { describeShared } from "../comparison/prompt-numbers.ts";
import type { Reviews } from "../comparison/reviews.ts";
import {
  isSame,
  outcomeOfOrders,
  preferenceOfOrders,
  type AnswerPair,
  type PairVerdict,
  type Verdict,
} from "../comparison/verdict.ts";
import { readVerdicts } from "../comparison/verdicts-file.ts";
import { writeJsonLines } from "../files/json-lines.ts";
import { RunError, UsageError } from "../errors.ts";
import type { PairJudge } from "../judge/pair-judge.ts";
import type { ComparisonSummary, OutcomeAgreement } from "../run/records/comparison.ts";
import { typedCommand } from "../run/recorded-path.ts";
import { readManifest, runFolder, type RunFolder, extendManifest } from "../run/run-folder.ts";
import type { Outcome } from "../stats/outcomes.ts";
import { describeCalls } from "./describe-calls.ts";
import { describeQuestion } from "../run/describe-question.ts";
import type { StageOptions } from "./progress.ts";
import { promptCoverageGate } from "./coverage.ts";
import { StageProgress } from "./stage-progress.ts";
import { untilAborted } from "./until-aborted.ts";
import { defaultSeed } from "../stats/random.ts";

/** One of the two models in a comparison, with its answers. */
export interface Arm extends Answers {
  readonly name: string;
}

export interface CompareOptions extends StageOptions {
  /** The run's folder. */
  readonly run: string;
  readonly judge: PairJudge;
  /** Outcomes by other judges or people, to measure agreement with: by set and id, from A's side. */
  readonly against?: readonly OtherOutcomes[] | undefined;
  /** The least share of the prompts that must be decided for the gate to hold, 0 to 1. */
  readonly minCoverage?: number | undefined;
  /** Which turns of prompts with several are judged. Default each. */
  readonly turns?: JudgedTurns | undefined;
  /** Replace this judge's comparison of these arms if its question or answers differ. */
  readonly overwrite?: boolean | undefined;
  /** Seed for the intervals. */
  readonly seed?: number | undefined;
}

const batchSize = 100;

/** The name of an arm whose answers are in a file. */
export function armName(path: string): string {
  return basename(path, extname(path));
}

/**
 * Judges the answers of two arms to the same prompts in both orders, and says what can be concluded. Writes every pair's
 * verdicts, and the summary into the manifest.
 *
 * @throws DataError when the answers are not to the same prompts
 * @throws RunError when the run has this comparison with another question or other answers, and `overwrite` is not set
 */
export async function compare(a: Arm, b: Arm, options: CompareOptions): Promise<ComparisonSummary> {
  const startedAt = new Date();
  const { judge, seed = defaultSeed } = options;
  if (a.name === b.name) throw new UsageError(`expected two arms of different names, got ${a.name} twice`);
  const run = runFolder(options.run);
  const name = comparisonName(a.name, b.name, judge.name);
  const previous = (await readManifest(run))?.comparisons?.[name];
  if (previous?.question && judge.question && previous.question.hash !== judge.question.hash && !options.overwrite)
    throw new RunError(
      `${options.run}: holds a comparison of ${a.name} and ${b.name} by ${judge.name} with another question (${describeQuestion(previous.question)}, not ${describeQuestion(judge.question)}); replace it with --overwrite, or compare the files of answers in another run with --run DIR`,
    );
  const { pairs, missing, neither, missingPairs, empty, cut, reasoned } = pairAnswers(a, b, options.turns);
  const answersHash = hash(
    "sha256",
    JSON.stringify(
      pairs.map(({ set, id, answers, dialogues }) => [set, id, answers, ...(dialogues ? [dialogues] : [])]),
    ),
  );
  if (previous && previous.answersHash !== answersHash && !options.overwrite)
    throw new RunError(
      `${options.run}: holds a comparison of other answers of ${a.name} and ${b.name}; replace it with --overwrite, or compare the files of answers in another run with --run DIR`,
    );
  const against = (options.against ?? []).map((other) => matchOutcomes(other, pairs));
  const before = judge.calls?.();
  const verdicts = await judgePairs(pairs, options);
  const verdictsPath = run.verdictsPath(name);
  const verdictsHash = await writeJsonLines(verdictsPath, verdicts);
  const decided = verdicts.filter(({ outcome }) => outcome !== "undecided").length;
  const pending = verdicts.flatMap(({ orders }) => orders).filter(({ state }) => state === "pending").length;
  const failedChecks = await latestFailures(run, judge.name);
  const summary: ComparisonSummary = {
    ...summarise(verdicts, [a.name, b.name], judge.name, seed, against),
    ...(failedChecks.length > 0 && { failedChecks }),
    answersHash,
    question: judge.question,
    ...typedCommand(options.command, run),
    notes: [
      ...judge.notes,
      ...describeShared(verdicts),
      ...([a.name, b.name] as const).flatMap((arm, side) =>
        describeGaps(arm, missing[side as 0 | 1], empty[side as 0 | 1], cut[side as 0 | 1], reasoned[side as 0 | 1]),
      ),
      ...against.flatMap((other) => describeUnused(other, verdicts)),
    ],
    ...describeCalls(judge, pending, before),
    missing: missing[0] + missing[1] - neither,
    ...(missingPairs > 0 && { missingPairs }),
    gates: [promptCoverageGate("decided", decided, pairs.length + missingPairs, options.minCoverage)],
    verdictsPath,
    verdictsHash,
    startedAt: startedAt.toISOString(),
    wallMs: Date.now() - startedAt.getTime(),
  };
  return addComparison(run, name, summary, previous);
}

/**
 * Recounts published judgements and stores them in a run, with the replies and answers in their files.
 *
 * @throws RunError when the run holds another comparison of these arms by this judge, and `overwrite` is not set
 */
export async function keepReviews(
  reviews: Reviews,
  options: Omit<CompareOptions, "judge" | "onProgress" | "signal">,
): Promise<ComparisonSummary> {
  const counted = recount(reviews, options);
  const run = runFolder(options.run);
  const name = comparisonName(counted.a, counted.b, counted.judge);
  const answersHash = hash("sha256", JSON.stringify(reviews.verdicts)); // what was judged, and the verdicts
  const previous = (await readManifest(run))?.comparisons?.[name];
  if (previous && previous.answersHash !== answersHash && !options.overwrite)
    throw new RunError(
      `${options.run}: holds another comparison of ${counted.a} and ${counted.b} by ${counted.judge}; replace it with --overwrite, or compare the files of answers in another run with --run DIR`,
    );
  const verdictsPath = run.verdictsPath(name);
  const verdictsHash = await writeJsonLines(verdictsPath, reviews.verdicts);
  const summary: ComparisonSummary = {
    ...counted,
    ...typedCommand(options.command, run),
    answersHash,
    verdictsPath,
    verdictsHash,
  };
  return addComparison(run, name, summary, previous);
}

/** Recounts published judgements. Calls no model and writes nothing. */
export function recount(
  { arms, judge, verdicts }: Reviews,
  { seed = defaultSeed, against = [], minCoverage }: Pick<CompareOptions, "seed" | "against" | "minCoverage"> = {},
): ComparisonSummary {
  const startedAt = new Date();
  const matched = against.map((other) => matchOutcomes(other, verdicts));
  const decided = verdicts.filter(({ outcome }) => outcome !== "undecided").length;
  const isOneOrder = verdicts.some(({ orders }) => orders.length === 1);
  return concludeIfComplete({
    ...summarise(verdicts, arms, judge ?? "published reviews", seed, matched),
    notes: [
      ...(isOneOrder ? ["only one order was judged, so position bias is not corrected"] : describeShared(verdicts)),
      ...matched.flatMap((other) => describeUnused(other, verdicts)),
    ],
    missing: 0,
    gates: [promptCoverageGate("decided", decided, verdicts.length, minCoverage)],
    startedAt: startedAt.toISOString(),
    wallMs: Date.now() - startedAt.getTime(),
  });
}

/** The outcomes of a finished comparison, by set and id. */
export async function readOutcomes({ verdictsPath }: ComparisonSummary): Promise<Map<string, Outcome>> {
  const outcomes = new Map<string, Outcome>();
  if (verdictsPath === undefined) return outcomes;
  for (const verdict of await readVerdicts(verdictsPath)) outcomes.set(pairKey(verdict), verdict.outcome);
  return outcomes;
}

/** The verdicts of all pairs, in their order. Identical answers are a tie, without a call. */
async function judgePairs(pairs: readonly AnswerPair[], options: CompareOptions): Promise<PairVerdict[]> {
  const { judge } = options;
  const different = pairs.filter((pair) => !isSame(pair));
  const judged: (readonly Verdict[])[] = [];
  using progress = new StageProgress({
    run: runFolder(options.run),
    stage: "compare",
    doing: "judging",
    unit: "pairs",
    total: different.length,
    onProgress: options.onProgress,
    calls: judge.calls,
    done: () => judged.length,
  });
  await judge.prepare?.(() => inBatches(different, options.signal), progress.showBatches);
  progress.begin();
  const compared = judge.compare(inBatches(different, options.signal));
  const { signal } = options;
  for await (const some of signal && judge.calls === undefined ? untilAborted(compared, signal) : compared) {
    judged.push(...some);
    progress.update();
  }
  const odd = judged.find((orders) => !Array.isArray(orders) || orders.length === 0);
  if (odd || judged.length !== different.length)
    throw new RunError(
      `${judge.name}: expected verdicts in one or both orders for each of ${different.length} pairs, got ${odd ? JSON.stringify(odd) : `those of ${judged.length}`}`,
    );
  let next = 0;
  const isGraded = judged.some((orders) => "preference" in preferenceOfOrders(orders));
  const isWeighted = judged.some((orders) => "weight" in preferenceOfOrders(orders));
  const even = { preference: 0.5, ...(isWeighted && { weight: 2 }) }; // for answers that are the same
  return pairs.map((pair) => {
    const { id, set, prompt, category, difficulty, instruction, input, answers, dialogues } = pair;
    const orders = isSame(pair) ? [] : judged[next++]!;
    return {
      id,
      set,
      ...(prompt !== undefined && { prompt }),
      category,
      ...(difficulty !== undefined && { difficulty }),
      outcome: isSame(pair) ? "tie" : outcomeOfOrders(orders),
      orders,
      ...(isSame(pair) ? isGraded && even : preferenceOfOrders(orders)),
      lengths: [answers[0].length, answers[1].length],
      instruction,
      input,
      answers,
      ...(dialogues && { dialogues }),
    };
  });
}

async function* inBatches(pairs: readonly AnswerPair[], signal?: AbortSignal): AsyncGenerator<readonly AnswerPair[]> {
  for (let from = 0; from < pairs.length; from += batchSize) {
    signal?.throwIfAborted();
    yield pairs.slice(from, from + batchSize);
  }
}

function summarise(
  verdicts: readonly PairVerdict[],
  [a, b]: readonly [string, string],
  judge: string,
  seed: number,
  against: NonNullable<CompareOptions["against"]>,
): Pick<
  ComparisonSummary,
  "a" | "b" | "judge" | "states" | "seed" | "pooled" | "sets" | "categories" | "difficulties" | "agreement"
> {
  const { pooled, sets, categories, difficulties } = analyse(verdicts);
  const toRecord = (group: (typeof categories)[number]) => ({ ...toComparisonRecord(group), set: group.set });
  const states: Record<string, number> = {};
  for (const { orders } of verdicts) for (const { state } of orders) states[state] = (states[state] ?? 0) + 1;
  const agreement: OutcomeAgreement[] = against.map(({ name, outcomes }) =>
    measureOutcomeAgreement(name, verdicts, outcomes, seed),
  );
  return {
    a,
    b,
    judge,
    states,
    seed,
    pooled: toComparisonRecord(pooled),
    sets: sets.map(toComparisonRecord),
    categories: categories.map(toRecord),
    ...(difficulties.length > 0 && { difficulties: difficulties.map(toRecord) }),
    agreement,
  };
}

/** Keeps a comparison in the run, without conclusions where it is not complete. */
async function addComparison(
  run: RunFolder,
  name: string,
  counted: ComparisonSummary,
  previous: ComparisonSummary | undefined,
): Promise<ComparisonSummary> {
  const isAgain = previous?.answersHash === counted.answersHash && previous?.question?.hash === counted.question?.hash;
  const earlierCommands = isAgain ? commandsBefore(previous, counted.command) : undefined;
  const summary = { ...concludeIfComplete(counted), ...(earlierCommands && { earlierCommands }) };
  await extendManifest(run, (manifest) => ({ comparisons: { ...manifest?.comparisons, [name]: summary } }));
  return summary;
}
