import type { LanguageModelV4 } from "@ai-sdk/provider";
import { UsageError } from "../errors.ts";
import type { AnchorLanguage } from "../health/anchor-languages.ts";
import { readAnchors, type Anchor } from "../health/anchors.ts";
import { examineBuild, examineRounds, isDoubtful } from "../health/examine.ts";
import type { HealthCheck } from "../health/figures.ts";
import { leastRounds, mostRounds, probeJudge, type Probe } from "../judge/checked.ts";
import type { Judge } from "../judge/judge.ts";
import { openJudge, openLlmJudge, type OpenLlmJudgeOptions } from "../judge/open.ts";
import { readServedMeasure } from "../likelihood/measure-name.ts";
import { isModelName } from "../llm/model-name.ts";
import type { CallsReport } from "../llm/call-tally.ts";
import { nanosPerUsd } from "../llm/price.ts";
import { forgetNameOfCheck, keepCheck, keepNameOfCheck, nameOfCheck } from "../run/judge-checks.ts";
import { runFolder } from "../run/run-folder.ts";
import type { Rating, RatingState } from "../run/rating.ts";

export interface CheckJudgeOptions extends Omit<OpenLlmJudgeOptions, "batch" | "forPlan"> {
  /** A model's name, a model of the AI SDK, or a student's name. */
  readonly judge: string | LanguageModelV4;
  /** The language of the anchor rows (en). */
  readonly language?: AnchorLanguage | undefined;
}

/** The result of checking a judge. */
export interface JudgeHealth {
  readonly judge: string;
  readonly rubric?: string | undefined;
  /** Hash of its question without the rows: the model, the rubric, the sampling. */
  readonly question?: string | undefined;
  /** Whether every check held. */
  readonly isHealthy: boolean;
  /** Whether no check failed, but some could not be made because replies are missing. */
  readonly isUnknown: boolean;
  readonly checks: readonly HealthCheck[];
  /** The ratings of each anchor, one for each round. */
  readonly anchors: readonly {
    readonly topic: string;
    readonly kind: Anchor["kind"];
    readonly ratings: readonly { readonly state: RatingState; readonly score?: number }[];
  }[];
  /** The exact models that answered. */
  readonly builds: readonly string[];
  readonly calls: number;
  /** Null when no price is known. */
  readonly paidUsd: number | null;
  /** Why the calls stopped before the check was complete. */
  readonly stopped?: CallsReport["stopped"];
}

/**
 * Checks whether a judge can be trusted to rate a dataset. It rates twenty anchor rows twice, and a third time if doubt is left.
 * The checks are whether it tells good responses from bad ones, whether it follows instructions inside rows, how much its ratings
 * of the same row vary, and whether the build is the one behind the stored replies. Every round makes new calls, and stores them; a check
 * that did not end goes on with those that it has.
 *
 * @throws UsageError when the name or an option makes no sense; other errors when the model cannot be called
 */
export async function checkJudge(options: CheckJudgeOptions): Promise<JudgeHealth> {
  const health = await examineJudge(options);
  const { judge, question, checks } = health;
  const language = options.language ?? "en";
  await keepCheck(runFolder(options.run), {
    at: new Date().toISOString(),
    judge,
    question,
    language,
    checks: [...checks],
  });
  return health;
}

async function examineJudge({ judge, language, ...options }: CheckJudgeOptions): Promise<JudgeHealth> {
  const anchors = await readAnchors(language);
  if (typeof judge === "string" && readServedMeasure(judge))
    throw new UsageError(
      `--judge: expected a judge that replies (openai:MODEL, http://HOST/v1#MODEL) or a student, got ${judge}; rate checks a reward model by itself, and likelihoods are no opinion to check`,
    );
  if (typeof judge === "string" && !isModelName(judge)) return checkLocal(await openJudge(judge), anchors);
  const run = runFolder(options.run);
  const whom =
    `${typeof judge === "string" ? judge : `${judge.provider} ${judge.modelId}`} ${options.rubric ?? ""}`.trimEnd();
  const name = await nameOfCheck(run, whom);
  const probes: Probe[] = [];
  const builds: { readonly build: string; readonly replies: number }[] = [];
  let checks: HealthCheck[] = [];
  for (let round = 1; round <= mostRounds && (round <= leastRounds || isDoubtful(checks)); round++) {
    const asked = await openLlmJudge(judge, { ...options, retryFailed: true, probe: `check:${name}:${round}` });
    try {
      if (asked.problem !== undefined) throw new UsageError(asked.problem);
      if (asked.rubric.rates !== "response")
        throw new UsageError(
          `--rubric: expected one that rates responses, got ${asked.rubric.name}, which rates ${asked.rubric.rates === "other" ? "something else" : "instructions"}; the anchors are good and bad responses to the same instructions`,
        );
      if (round === 1) {
        builds.push(...asked.store.builds(asked.model.identity));
        await keepNameOfCheck(run, whom, name);
      }
      probes.push(await probeJudge(asked, anchors));
      checks = examineRounds(
        anchors,
        probes.map(({ ratings }) => ratings),
        asked.scale!, // a rubric has one
      );
      if (
        probes.at(-1)!.calls.stopped !== undefined ||
        round === mostRounds ||
        (round >= leastRounds && !isDoubtful(checks))
      ) {
        if (probes.at(-1)!.calls.stopped === undefined) await forgetNameOfCheck(run, whom);
        return conclude(asked.name, anchors, probes, {
          rubric: asked.rubric.name,
          question: asked.question.hash,
          checks: [
            ...(probes.at(-1)!.calls.stopped === undefined ? checks : checks.map(withoutVerdict)),
            examineBuild(builds, [...new Set(probes.flatMap((one) => one.builds))]),
          ],
        });
      }
    } finally {
      asked.close();
    }
  }
  throw new Error("a check ends in its last round");
}

/** A check of some replies only: what did not hold may be their doing. */
function withoutVerdict(check: HealthCheck): HealthCheck {
  return check.held ? check : { ...check, isUnknown: true };
}

async function checkLocal(judge: Judge, anchors: readonly Anchor[]): Promise<JudgeHealth> {
  if (!judge.scale || !judge.name.startsWith("student"))
    throw new UsageError(`--judge: expected a judge that can rate any row (a model, or a student), got ${judge.name}`);
  const rounds = [await rateAnchors(judge, anchors), await rateAnchors(judge, anchors)];
  return conclude(
    judge.name,
    anchors,
    rounds.map((ratings) => ({ ratings, builds: [] })),
    { checks: examineRounds(anchors, rounds, judge.scale) },
  );
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
  probes: readonly (Pick<Probe, "ratings" | "builds"> & Partial<Pick<Probe, "calls">>)[],
  rest: Pick<JudgeHealth, "rubric" | "question" | "checks">,
): JudgeHealth {
  const paid = probes.map(({ calls }) => (calls ? calls.paid : 0));
  const { checks } = rest;
  const stopped = probes.findLast(({ calls }) => calls?.stopped !== undefined)?.calls?.stopped;
  return {
    judge,
    ...rest,
    isHealthy: checks.every(({ held }) => held),
    isUnknown: checks.some(({ isUnknown }) => isUnknown) && checks.every(({ held, isUnknown }) => held || isUnknown),
    anchors: anchors.map(({ topic, kind }, i) => ({
      topic,
      kind,
      ratings: probes.map(({ ratings }) => {
        const rating = ratings[i]!;
        return { state: rating.state, ...(rating.state === "scored" && { score: rating.score }) };
      }),
    })),
    builds: [...new Set(probes.flatMap((probe) => probe.builds))],
    calls: probes.reduce((sum, { calls }) => sum + (calls?.made ?? 0), 0),
    paidUsd: paid.some((nanos) => nanos === null)
      ? null
      : paid.reduce<number>((sum, nanos) => sum + nanos!, 0) / nanosPerUsd,
    ...(stopped !== undefined && { stopped }),
  };
}
