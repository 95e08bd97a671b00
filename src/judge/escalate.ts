import { hash } from "node:crypto";
import type { Example } from "../dataset/example.ts";
import { RunError, UsageError } from "../errors.ts";
import { leastBudget } from "../escalation/check.ts";
import { escalate, firstChoice, type EscalationResult, type Verdict } from "../escalation/escalation.ts";
import { viewRows } from "../escalation/view-rows.ts";
import { formatCount, formatScore, formatShare } from "../format.ts";
import type { Rating } from "../run/rating.ts";
import type { StudentModel } from "../student/student.ts";
import type { Judge, Escalation, Escalating, Prepare } from "./judge.ts";

export interface EscalateOptions {
  /** The most rows that the other judge may rate, as a number or as a share of all rows. */
  readonly ask: number | { readonly share: number };
  /** The lowest score of the other judge at which a row is kept. Default 4.5, as in the paper. */
  readonly minScore?: number | undefined;
  /** The least share of the kept rows that must reach `minScore`, with 95 % confidence. Default 0.9. */
  readonly precision?: number | undefined;
  /** Rounds between the pilot and the final check, each about the rows least clear by then. Default 8, or 1 in batches. */
  readonly rounds?: number | undefined;
  readonly seed?: number | undefined;
}

/** A student that asks another judge to rate the rows it is unsure of. */
export type EscalatingJudge = Judge & { readonly prepare: Prepare<Example>; readonly escalating: Escalating };

const paperThreshold = 4.5;
const defaultPrecision = 0.9;
const defaultRounds = 8;
const batchRounds = 1; // after the pilot: each round takes up to a day
const leastTaughtRows = 50; // rows; the student learns nothing from fewer

/**
 * A student that rates all rows and asks another judge about those nearest the cut (see `escalate`). Rows that were asked
 * about keep the other judge's rating, whatever its state. The other rows get a score on that judge's scale, computed from
 * their probability of reaching the cut. The score is at or above the cut exactly when the row is kept. So the estimates
 * hold for a selection by score.
 *
 * @param other any judge: a model, or recorded scores
 * @throws UsageError when a number is out of range
 */
export function createEscalatingJudge(
  student: { readonly name: string; readonly model: StudentModel },
  other: Judge & { readonly isBatched?: boolean },
  options: EscalateOptions,
): EscalatingJudge {
  const { precision = defaultPrecision, seed = 42, minScore = paperThreshold } = options;
  const rounds = options.rounds ?? (other.isBatched ? batchRounds : defaultRounds);
  const { scale } = other;
  if (scale && !(minScore > scale.min && minScore <= scale.max))
    throw new UsageError(
      `--min-score: expected a score over ${scale.min} and up to ${scale.max}, the scale of ${other.name}, got ${minScore}`,
    );
  if (!(precision > 0 && precision < 1))
    throw new UsageError(`--precision: expected a share between 0 and 1, got ${precision}`);
  const ratings = new Map<number, Rating>();
  let result: EscalationResult | undefined;
  let rows = 0;
  const name = `escalate(${student.name}, ${other.name})`;
  const budgetOf = (total: number): number => {
    const budget = typeof options.ask === "number" ? options.ask : Math.round(options.ask.share * total);
    const least = Math.max(leastTaughtRows, leastBudget(precision));
    if (budget < Math.min(least, Math.max(leastTaughtRows, total)))
      throw new UsageError(
        `--escalate: expected at least ${formatCount(least)} rows for the other judge, since fewer cannot show a precision of ${formatShare(precision)}, got ${formatCount(budget)} of ${formatCount(total)}; allow more`,
      );
    return budget;
  };
  return {
    name,
    escalating: {
      other,
      studentName: student.name,
      async *expect(examples) {
        const view = await viewRows(student.model, examples, minScore);
        yield* pick(examples(), firstChoice(view, budgetOf(view.rows)));
      },
      result: () => (result?.isComplete ? summarise(result, rows, minScore) : undefined),
      left: () => (result ? Math.max(0, budgetOf(rows) - result.asked.length) : 0),
    },
    scale,
    question: {
      maxOutputTokens: 0,
      ...other.question,
      hash: hash(
        "sha256",
        JSON.stringify([
          other.question?.hash ?? other.name,
          student.model.card,
          student.model.score.calibration,
          student.model.fit.calibration,
          { ask: options.ask, minScore, precision, rounds, seed },
        ]),
      ).slice(0, 16),
    },
    calls: other.calls,
    accounts: other.accounts,
    finish: other.finish,
    get alarms() {
      const silence =
        result?.isComplete && !result.hasLabels
          ? [
              `${other.name} gave no score for any of the ${formatCount(result.asked.length)} rows it was asked to rate, so the other rows cannot be scored`,
            ]
          : [];
      return [...(other.alarms ?? []), ...silence];
    },
    get checks() {
      return other.checks;
    },
    get notes() {
      return [
        ...other.notes,
        ...(result?.isComplete ? describeEscalation(summarise(result, rows, minScore), student.name, other.name) : []),
      ];
    },
    async prepare(examples, onProgress) {
      const view = await viewRows(student.model, examples, minScore);
      rows = view.rows;
      const budget = budgetOf(rows);
      result = await escalate(
        view,
        async (asked) => {
          const chosen = () => pick(examples(), asked);
          await other.prepare?.(chosen, onProgress);
          const verdicts: Verdict[] = [];
          for await (const some of other.calls ? other.rate(chosen()) : ratePicked(other, examples(), asked)) {
            for (const rating of some) {
              ratings.set(asked[verdicts.length]!, rating);
              if (rating.state === "scored") verdicts.push(rating.score >= minScore);
              else verdicts.push(rating.state === "pending" && other.calls ? "pending" : "unscored");
            }
            onProgress?.({
              done: ratings.size,
              total: budget,
              note: `${other.name} rates ${formatCount(budget)} of ${formatCount(rows)} rows`,
            });
          }
          if (verdicts.length < asked.length)
            throw new RunError(
              `${other.name}: expected a rating for every row, got ${verdicts.length} of ${asked.length}`,
            );
          return verdicts;
        },
        { budget, precision, rounds, seed },
      );
    },
    async *rate(examples) {
      const from = result;
      if (!from) throw new RunError(`${name}: expected to be prepared before it rates`);
      const given = scoresOf(ratings);
      const top = scale?.max ?? given.reduce((most, score) => Math.max(most, score), minScore + 1);
      const bottom = scale?.min ?? given.reduce((least, score) => Math.min(least, score), minScore - 1);
      for await (const batch of examples)
        yield batch.map(({ index }): Rating => {
          const rating = ratings.get(index);
          if (rating) return { ...rating, by: other.name };
          if (!from.isComplete)
            return { state: "pending", detail: `${other.name} was stopped before it had rated all rows chosen for it` };
          if (!from.hasLabels) return { state: "failed", detail: `${other.name} gave no score to learn from` };
          const probability = from.probabilities[index]!;
          const score = scoreOnScale(probability, from.keptFrom, [bottom, minScore, top]);
          return { state: "scored", score, probability: Math.round(probability * 1e4) / 1e4, by: student.name };
        });
    },
  };
}

function summarise(result: EscalationResult, rows: number, minScore: number): Escalation {
  const { isComplete, hasLabels, audited, keptFrom, kept, precision, recall, alone } = result;
  return {
    isComplete,
    hasLabels,
    audited,
    keptFrom,
    kept,
    precision,
    recall,
    alone,
    asked: result.asked.length,
    rows,
    minScore,
  };
}

function describeEscalation(
  { asked, rows, minScore, precision, audited }: Escalation,
  student: string,
  other: string,
): string[] {
  return [
    ...(audited > 0
      ? [
          `${formatCount(audited)} of the rows rated by ${other} were drawn at random, to check which rows are kept: the estimates come from these rows, not from the probabilities of ${student}`,
        ]
      : []),
    `${other} rated ${formatCount(asked)} of ${formatCount(rows)} rows (${formatShare(asked / rows)}), mostly those that ${student} places nearest to ${formatScore(minScore)}; the score of the other rows stands for their probability of reaching it`,
    ...(Number.isNaN(precision.value)
      ? [`no row is kept: ${other} gave no row a score of ${formatScore(minScore)} or more`]
      : []),
  ];
}

function scoresOf(ratings: ReadonlyMap<number, Rating>): number[] {
  return [...ratings.values()].flatMap((rating) => (rating.state === "scored" ? [rating.score] : []));
}

/** Maps a probability to a score on the scale, at or above the cut exactly when the row is kept. */
function scoreOnScale(
  probability: number,
  keptFrom: number,
  [bottom, cut, top]: readonly [number, number, number],
): number {
  const round = (score: number) => Math.round(score * 1e3) / 1e3;
  if (probability >= keptFrom)
    return Math.max(cut, round(cut + ((probability - keptFrom) / Math.max(1e-9, 1 - keptFrom)) * (top - cut)));
  const share = Math.min(1, probability / Math.min(1, keptFrom)); // where nothing is kept, `keptFrom` is Infinity: divide by 1
  const score = round(bottom + share * (cut - bottom));
  return score < cut ? score : cut - 1e-3;
}

/** A free judge's ratings of these rows, ascending. It rates all rows, since recorded scores only fit a whole dataset. */
async function* ratePicked(
  judge: Judge,
  examples: AsyncIterable<readonly Example[]>,
  rows: Uint32Array,
): AsyncGenerator<readonly Rating[]> {
  let index = 0;
  let next = 0;
  for await (const ratings of judge.rate(examples)) {
    const chosen: Rating[] = [];
    for (const rating of ratings) {
      if (index++ !== rows[next]) continue;
      chosen.push(rating);
      next++;
    }
    yield chosen;
  }
}

/** The examples at these row numbers, which must ascend. */
async function* pick(
  examples: AsyncIterable<readonly Example[]>,
  places: Uint32Array,
): AsyncGenerator<readonly Example[]> {
  let next = 0;
  for await (const batch of examples) {
    const chosen = batch.filter(({ index }) => index === places[next] && ++next);
    if (chosen.length > 0) yield chosen;
    if (next >= places.length) return;
  }
}
