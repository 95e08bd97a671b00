import { rateAll } from "./rate-all.ts";
import { hash } from "node:crypto";
import type { Example } from "../dataset/example.ts";
import { RunError, UsageError } from "../errors.ts";
import { formatCount } from "../format.ts";
import type { BatchProgress } from "../llm/batches/batch-asker.ts";
import { addCalls } from "../llm/call-tally.ts";
import type { Question } from "../run/records/common.ts";
import type { PanelRating, Rating } from "../run/rating.ts";
import { meanMarks } from "../rubric/read-marks.ts";
import { quantile } from "../stats/quantile.ts";
import type { Judge, JudgeAccounts, Scale, Combination, Panel } from "./judge.ts";

/** A judge that combines several judges. */
export type PanelJudge = Judge & { readonly panel: Panel };

export interface PanelOptions {
  /** Map every judge's scores linearly from its own scale onto the first one's. Otherwise different scales are an error. */
  readonly rescale?: boolean | undefined;
}

/**
 * Combines several judges into one, whose score is the mean, the median or the lowest of theirs. A row has a score only if
 * every judge gave one. Otherwise its state is that of the first judge without a score (a pending one, if any), with that
 * judge's name in the detail. Each rating also holds every judge's own rating.
 *
 * @throws UsageError when there are fewer than two judges, one is named twice, a scale is not known, or scales differ
 *   without `rescale`
 */
export function createPanelJudge(
  given: readonly Judge[],
  combine: Combination = "mean",
  { rescale = false }: PanelOptions = {},
): PanelJudge {
  const names = given.map(({ name }) => name);
  if (given.length < 2) throw new UsageError(`--judge: expected two judges or more for a panel, got ${given.length}`);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) throw new UsageError(`--judge: expected each judge once, got ${twice} again`);
  const scale = firstScale(given, rescale);
  const members = given.map((judge) => (isSameScale(judge.scale!, scale) ? judge : rescaled(judge, scale)));
  const question = describeQuestion(members, combine);
  const asking = members.filter(({ calls }) => calls !== undefined);
  return {
    name: `${combine}(${names.join(", ")})`,
    panel: { members, combine },
    scale,
    question,
    get notes() {
      return members.flatMap(({ name, notes }) =>
        notes.map((note) => (note.startsWith(name) ? note : `${name}: ${note}`)),
      );
    },
    ...(asking.length > 0 && {
      calls: () => asking.map(({ calls }) => calls!()).reduce(addCalls),
      accounts: () => mergeAccounts(asking.map(({ accounts }) => accounts!())),
    }),
    get alarms() {
      return members.flatMap((judge) => judge.alarms ?? []);
    },
    get checks() {
      const all = members.flatMap(({ name, checks = [] }) =>
        checks.map((check) => ({ ...check, message: `${name}: ${check.message}` })),
      );
      return all.length > 0 ? all : undefined;
    },
    async finish() {
      for (const judge of members) await judge.finish?.();
    },
    async prepare(examples, onProgress) {
      const progress = new Map<Judge, BatchProgress>();
      const ends = await Promise.allSettled(
        members.map(async (judge) => {
          await judge.prepare?.(examples, (own) => {
            progress.set(judge, own);
            onProgress?.(addProgress([...progress.values()]));
          });
        }),
      );
      const failed = ends.find(({ status }) => status === "rejected"); // known once all judges have ended
      if (failed?.status === "rejected") throw failed.reason;
    },
    async *rate(examples) {
      const shared = teeStream(examples);
      const streams = members.map((judge) => rateAll(judge, shared.tap())[Symbol.asyncIterator]());
      try {
        for await (const ratings of zip(streams, names))
          yield ratings.map((panel) => combineRatings(panel, names, combine));
      } finally {
        await Promise.all(streams.map(async (stream) => void (await stream.return?.(undefined))));
        await shared.close();
      }
    },
  };
}

/** Combines the judges' ratings of one row. */
function combineRatings(ratings: readonly Rating[], names: readonly string[], combine: Combination): Rating {
  const panel = ratings.map(toPanelRating);
  const calls = ratings.flatMap(({ call, calls: all = call === undefined ? [] : [call] }) => all);
  const marks = meanMarks(ratings.map((rating) => rating.marks));
  const intrusions = [...new Set(ratings.flatMap((rating) => rating.intrusions ?? []))];
  const traces = {
    panel,
    ...(calls.length > 0 && { call: calls[0]!, calls }),
    ...(intrusions.length > 0 && { intrusions }),
  };
  const pending = ratings.findIndex(({ state }) => state === "pending"); // it may still get a score, or another state
  const at = pending >= 0 ? pending : ratings.findIndex(({ state }) => state !== "scored");
  const missing = ratings[at];
  if (missing && missing.state !== "scored")
    return {
      state: missing.state,
      detail: `${names[at]}${missing.detail === undefined ? " gave no score" : `: ${missing.detail}`}`,
      ...traces,
    };
  const scores = ratings.flatMap((rating) => (rating.state === "scored" ? [rating.score] : []));
  return { state: "scored", score: combineScores(scores, combine), ...traces, ...(marks && { marks }) };
}

export function combineScores(scores: readonly number[], combine: Combination): number {
  return combiners[combine](scores);
}

const combiners: Readonly<Record<Combination, (scores: readonly number[]) => number>> = {
  mean: (scores) => scores.reduce((sum, score) => sum + score, 0) / scores.length,
  median: (scores) => quantile(Float64Array.from(scores).sort(), 0.5),
  lowest: (scores) => Math.min(...scores),
};

function toPanelRating(rating: Rating): PanelRating {
  return {
    state: rating.state,
    ...(rating.state === "scored" ? { score: rating.score } : {}),
    ...(rating.call !== undefined && { call: rating.call }),
    ...(rating.calls && { calls: rating.calls }),
  };
}

/** The first judge's scale. @throws UsageError when a judge's scale is not known, or scales differ without `rescale` */
function firstScale(members: readonly Judge[], rescale: boolean): Scale {
  const unknown = members.find((judge) => !judge.scale);
  if (unknown)
    throw new UsageError(
      `--judge: expected judges whose scales are known, since their scores are combined, got ${unknown.name}, which has none; give it with --scale, such as --scale 0..5`,
    );
  const [first, ...others] = members as readonly (Judge & { readonly scale: Scale })[]; // as was just checked
  const other = others.find(({ scale }) => !isSameScale(scale, first!.scale));
  if (other && !rescale)
    throw new UsageError(
      `--judge: expected judges of one scale, got ${first!.name} (${first!.scale.min} to ${first!.scale.max}) and ${other.name} (${other.scale.min} to ${other.scale.max}); give them the same --rubric, or --rescale to map all scores linearly onto the first one's`,
    );
  return first!.scale;
}

function isSameScale(one: Scale, other: Scale): boolean {
  return one.min === other.min && one.max === other.max;
}

/** A judge whose scores are mapped linearly onto another scale. */
function rescaled(judge: Judge, scale: Scale): Judge {
  const own = judge.scale!; // `firstScale` has checked it
  const areOnScale = judge.question?.rubric !== undefined; // a rubric's marks are on its scale; other marks, such as a probability, have their own
  const map = (score: number) => scale.min + ((score - own.min) / (own.max - own.min)) * (scale.max - scale.min);
  return {
    ...judge,
    scale,
    get notes() {
      return [
        ...judge.notes,
        `${judge.name}: its scores from ${own.min} to ${own.max} are mapped linearly onto ${scale.min} to ${scale.max}`,
      ];
    },
    get alarms() {
      return judge.alarms;
    },
    get checks() {
      return judge.checks;
    },
    async *rate(examples) {
      for await (const ratings of judge.rate(examples))
        yield ratings.map((rating) => {
          if (rating.state !== "scored") return rating;
          const marks = Object.entries(rating.marks ?? {}).map(([name, mark]) => [name, map(mark)] as const);
          const isMapped = rating.marks !== undefined && areOnScale;
          return { ...rating, score: map(rating.score), ...(isMapped && { marks: Object.fromEntries(marks) }) };
        });
    },
  };
}

function describeQuestion(members: readonly Judge[], combine: Combination): Question | undefined {
  const questions = members.flatMap(({ question }) => (question ? [question] : []));
  const [first] = questions;
  if (!first) return undefined;
  const same = questions.every(({ rubric }) => rubric === first.rubric);
  return {
    ...(same && first.rubric !== undefined && { rubric: first.rubric, rubricVersion: first.rubricVersion }),
    maxOutputTokens: Math.max(...questions.map(({ maxOutputTokens }) => maxOutputTokens)),
    ...(first.logprobs && { logprobs: true }),
    samples: first.samples,
    hash: hash(
      "sha256",
      JSON.stringify([combine, members.map(({ name, question, calls }) => [name, calls && question?.hash])]),
    ).slice(0, 16),
  };
}

/** All judges pay from the run's one purse, so `runPaid` is the same for all; the mean costs of a reply are added up. */
function mergeAccounts(accounts: readonly JudgeAccounts[]): JudgeAccounts {
  const bases = [...new Set(accounts.flatMap(({ priceBasis }) => (priceBasis === null ? [] : [priceBasis])))];
  const costs = accounts.map(({ meanCost }) => meanCost);
  return {
    ...accounts[0]!,
    priceBasis: bases.length > 0 ? bases.join("; ") : null,
    runPaid: accounts.some(({ runPaid }) => runPaid === null) ? null : accounts[0]!.runPaid,
    highestCost: Math.max(...accounts.map(({ highestCost = 0 }) => highestCost)),
    meanCost: costs.includes(null) ? null : costs.reduce<number>((sum, cost) => sum + cost!, 0),
  };
}

function addProgress(all: readonly BatchProgress[]): BatchProgress {
  return {
    done: all.reduce((sum, { done }) => sum + done, 0),
    total: all.reduce((sum, { total }) => sum + total, 0),
    note: all.map(({ note }) => note).join("; "),
  };
}

// --- one stream of examples for several judges ---

interface Link<T> {
  readonly value: T;
  readonly next: () => Promise<Link<T> | undefined>;
}

/**
 * Lets several readers read one stream, each at its own pace. Batches that the slowest has not read yet stay in memory.
 * Their number is bounded, since LLM judges read only a bounded number of rows ahead of what they yield.
 */
function teeStream(examples: AsyncIterable<readonly Example[]>) {
  const source = examples[Symbol.asyncIterator]();
  const read = (): (() => Promise<Link<readonly Example[]> | undefined>) => {
    let link: Promise<Link<readonly Example[]> | undefined> | undefined;
    return () =>
      (link ??= source.next().then(({ done, value }) => (done === true ? undefined : { value, next: read() })));
  };
  const first = read();
  return {
    async *tap(): AsyncGenerator<readonly Example[]> {
      for (let link = await first(); link; link = await link.next()) yield link.value;
    },
    close: async () => void (await source.return?.()),
  };
}

/** Yields the judges' ratings row by row, as many rows at a time as all judges have rated. */
async function* zip(
  streams: readonly AsyncIterator<readonly Rating[]>[],
  names: readonly string[],
): AsyncGenerator<readonly (readonly Rating[])[]> {
  const queues: Rating[][] = streams.map(() => []);
  for (;;) {
    const ends = await Promise.all(
      streams.map(async (stream, i) => {
        while (queues[i]!.length === 0) {
          const { done, value } = await stream.next();
          if (done === true) return true;
          queues[i]!.push(...value);
        }
        return false;
      }),
    );
    if (ends.every(Boolean)) return;
    const short = ends.indexOf(true);
    if (short >= 0)
      throw new RunError(
        `${names[short]}: expected a rating for every row, got none for the last ${formatCount(Math.max(...queues.map(({ length }) => length)))} or more`,
      );
    const rows = Math.min(...queues.map(({ length }) => length));
    const taken = queues.map((queue) => queue.splice(0, rows));
    yield Array.from({ length: rows }, (_, row) => taken.map((ratings) => ratings[row]!));
  }
}
