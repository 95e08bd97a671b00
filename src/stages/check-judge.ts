import type { LanguageModelV4 } from "@ai-sdk/provider";
import { randomUUID } from "node:crypto";
import { UsageError } from "../errors.ts";
import { readAnchors, type Anchor } from "../health/anchors.ts";
import { examineBuild, examineRatings, examineRepetition, type HealthCheck } from "../health/examine.ts";
import { probeJudge } from "../judge/checked.ts";
import type { Judge } from "../judge/judge.ts";
import { openJudge, openLlmJudge, type OpenLlmJudgeOptions } from "../judge/open.ts";
import { isModelName } from "../llm/model-name.ts";
import { nanosPerUsd } from "../llm/price.ts";
import type { Rating, RatingState, Scale } from "../run/rating.ts";

export interface CheckJudgeOptions extends Omit<OpenLlmJudgeOptions, "batch" | "forPlan"> {
  /** A model, by name or of the AI SDK, or a student. */
  readonly judge: string | LanguageModelV4;
}

/** What checking a judge came to. */
export interface JudgeHealth {
  readonly judge: string;
  readonly rubric?: string;
  /** Whether every check held. */
  readonly isHealthy: boolean;
  readonly checks: readonly HealthCheck[];
  /** How each anchor was rated, both times. */
  readonly anchors: readonly {
    readonly topic: string;
    readonly kind: Anchor["kind"];
    readonly first: { readonly state: RatingState; readonly score?: number };
    readonly second: { readonly state: RatingState; readonly score?: number };
  }[];
  /** The exact models that answered. */
  readonly builds: readonly string[];
  readonly calls: number;
  /** Null when no price is known. */
  readonly paidUsd: number | null;
}

/**
 * Has a judge rate twenty anchor rows twice and tells whether it can be trusted with more: whether it tells good responses
 * from bad ones, does what rows tell it to, says the same again, and is the build that made the replies in the store. What it
 * is asked is asked anew each time, and kept like any other reply.
 *
 * @throws UsageError when the name or an option makes no sense, and what stops a model from being asked
 */
export async function checkJudge({ judge, ...options }: CheckJudgeOptions): Promise<JudgeHealth> {
  const anchors = await readAnchors();
  if (typeof judge === "string" && !isModelName(judge)) return checkLocal(await openJudge(judge), anchors);
  const nonce = randomUUID();
  const one = await openLlmJudge(judge, { ...options, probe: `check:${nonce}:1` });
  const other = await openLlmJudge(judge, { ...options, probe: `check:${nonce}:2` });
  try {
    if (one.problem !== undefined) throw new UsageError(one.problem);
    if (one.rubric.rates !== "response")
      throw new UsageError(
        `--rubric: expected one that rates responses, got ${one.rubric.name}, which rates ${one.rubric.rates === "other" ? "something else" : "instructions"}; the anchors are good and bad responses to the same instructions`,
      );
    const builds = one.store.builds(one.model.identity);
    const first = await probeJudge(one, anchors);
    const second = await probeJudge(other, anchors);
    const scale = one.scale!; // a rubric has one
    const found = [...new Set([...first.builds, ...second.builds])];
    const [before, after] = [one.calls(), other.calls()];
    return conclude(one.name, anchors, first.ratings, second.ratings, {
      rubric: one.rubric.name,
      checks: [
        ...examineRatings(anchors, first.ratings, scale),
        examineRepetition(first.ratings, second.ratings, scale),
        examineBuild(builds, found),
      ],
      builds: found,
      calls: before.made + after.made,
      paidUsd: before.paid === null || after.paid === null ? null : (before.paid + after.paid) / nanosPerUsd,
    });
  } finally {
    one.close();
    other.close();
  }
}

async function checkLocal(judge: Judge, anchors: readonly Anchor[]): Promise<JudgeHealth> {
  if (!judge.scale || !judge.name.startsWith("student"))
    throw new UsageError(`--judge: expected a judge that can rate any row (a model, or a student), got ${judge.name}`);
  const { scale } = judge;
  const [first, second] = [await rateAnchors(judge, anchors), await rateAnchors(judge, anchors)];
  return conclude(judge.name, anchors, first, second, {
    checks: [...examineRatings(anchors, first, scale), examineRepetition(first, second, scale satisfies Scale)],
    builds: [],
    calls: 0,
    paidUsd: 0,
  });
}

async function rateAnchors(judge: Judge, anchors: readonly Anchor[]): Promise<Rating[]> {
  const ratings: Rating[] = [];
  async function* inOneBatch(): AsyncGenerator<readonly Anchor[]> {
    yield anchors;
  }
  for await (const some of judge.rate(inOneBatch())) ratings.push(...some);
  return ratings;
}

function conclude(
  judge: string,
  anchors: readonly Anchor[],
  first: readonly Rating[],
  second: readonly Rating[],
  rest: Pick<JudgeHealth, "rubric" | "checks" | "builds" | "calls" | "paidUsd">,
): JudgeHealth {
  const shown = (rating: Rating) => ({
    state: rating.state,
    ...(rating.state === "scored" && { score: rating.score }),
  });
  return {
    judge,
    ...rest,
    isHealthy: rest.checks.every(({ held }) => held),
    anchors: anchors.map(({ topic, kind }, i) => ({
      topic,
      kind,
      first: shown(first[i]!),
      second: shown(second[i]!),
    })),
  };
}
