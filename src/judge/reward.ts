import type { Example } from "../dataset/example.ts";
import { formatNumbered } from "../format.ts";
import { readAnchors } from "../health/anchors.ts";
import { openMeasurer, type LikelihoodOf, type RowParts } from "../likelihood/measure.ts";
import { toParts } from "../likelihood/row-parts.ts";
import type { Rating } from "../run/rating.ts";
import type { Gate } from "../run/records/common.ts";
import { JudgeCheckError } from "./checked.ts";
import { mapInBlocks } from "../in-blocks.ts";
import type { Judge } from "./judge.ts";
import type { LikelihoodJudgeOptions } from "./likelihood.ts";

export const defaultRewardLength = 4096; // tokens; the model's own limit counts too
const leastRight = 0.75; // share of the known pairs: a coin reaches half

export interface RewardJudgeOptions extends Omit<LikelihoodJudgeOptions, "template"> {
  /** Whether a model that fails the check rates nothing (the default). The check is made in any case. */
  readonly check?: boolean | undefined;
}

/**
 * A reward model on this machine (a folder, or an id on the Hub) as a judge: a sequence-classification model with one output, which gives a
 * conversation one number, high where people preferred the answer. The number has no scale. The row is written by the model's own chat
 * template; a model without one gets prompt and answer as two texts.
 *
 * Before the rows it scores pairs of answers whose order is known. A model that cannot tell them rates nothing.
 */
export function createRewardJudge(
  model: string,
  { maxLength = defaultRewardLength, signal, store, ray, check = true }: RewardJudgeOptions = {},
): Judge {
  let done = 0;
  let phase: string | undefined;
  let device: string | undefined;
  let known = 0;
  let checks: readonly Gate[] | undefined;
  return {
    name: nameReward(model, maxLength),
    work: () => ({ done, phase }),
    get checks() {
      return checks;
    },
    get notes() {
      return [
        rewardNote,
        `scored by ${model}${device === undefined ? "" : ` (${device})`}`,
        ...(known > 0 ? [`${formatNumbered(known, "row was", "rows were")} scored before, and not again`] : []),
      ];
    },
    get alarms() {
      return checks?.flatMap(({ held, message }) => (held ? [] : [message])) ?? [];
    },
    async *rate(examples) {
      done = known = 0;
      phase = "loading the model";
      await using measurer = await openMeasurer({
        model,
        option: "--judge reward:MODEL",
        parts: ["reward"],
        maxLength,
        store,
        ray,
        signal,
        onPhase: (doing) => void (phase = doing),
      });
      const gate = await checkPairs((rows) => measurer.measure(rows), model);
      checks = [gate];
      if (!gate.held && check) throw new JudgeCheckError(`${gate.message}. ${rewardAdvice}`);
      const rateBlock = async (block: readonly Example[]) => {
        const refused = block.map((example) => refuseToScore(example));
        const asked = block.flatMap((example, i) => (refused[i] ? [] : [toParts(example, "chat")]));
        const measured = await measurer.measure(asked, (count, { isKnown }) => {
          phase = undefined;
          done += count;
          if (isKnown) known += count;
        });
        phase = undefined;
        device = measurer.device();
        let next = 0;
        return refused.map((refusal) => refusal ?? rateReward(measured[next++]!));
      };
      yield* mapInBlocks(examples, rateBlock, measurer.rowsInFlight);
    },
  };
}

export const rewardNote =
  "the score of a reward model: high where people preferred the answer; it has no scale, so choose by rank (--top)";

const rewardAdvice =
  "Look whether it is a reward model, whether its folder has the template it was trained with, and which transformers it wants; --no-check rates all the same";

export function nameReward(model: string, maxLength: number): string {
  return maxLength === defaultRewardLength ? `reward:${model}` : `reward:${model}, at most ${maxLength} tokens`;
}

/** Has a reward model score the anchors: good answers to plain questions, and cut, wrong, unrelated and refusing ones. */
export async function checkPairs(
  measure: (rows: readonly RowParts[]) => Promise<readonly LikelihoodOf[]>,
  model: string,
): Promise<Gate> {
  const anchors = (await readAnchors()).filter(({ kind }) => kind !== "injected"); // no reward model was trained against those
  const measured = await measure(anchors.map((anchor) => toParts(anchor, "chat")));
  const problem = measured.find((one) => "problem" in one);
  if (problem)
    return { name: "known pairs", held: false, message: `${model} cannot score the known pairs: ${problem.problem}` };
  const rewards = measured.map((one) => ("problem" in one ? NaN : one.likelihood.reward!)); // checked above
  const pairs = anchors.flatMap((good, i) =>
    good.kind !== "good"
      ? []
      : anchors.flatMap(({ topic, kind }, k) => (topic === good.topic && kind !== "good" ? [[i, k] as const] : [])),
  );
  const right = pairs.filter(([good, bad]) => rewards[good]! > rewards[bad]!).length;
  return {
    name: "known pairs",
    held: right >= leastRight * pairs.length,
    message: `${model} scores the better answer higher in ${right} of ${pairs.length} pairs whose order is known (from ${Math.min(...rewards).toPrecision(4)} to ${Math.max(...rewards).toPrecision(4)}); at least ${Math.ceil(leastRight * pairs.length)} are wanted`,
  };
}

export function refuseToScore({ unreadable, output, conversation }: Example): Rating | undefined {
  if (unreadable !== undefined) return { state: "pending" }; // its state is told elsewhere
  if (output === "" && !conversation?.answer.toolCalls)
    return { state: "refused", detail: "it has no answer to score" };
  return undefined;
}

export function rateReward(found: LikelihoodOf): Rating {
  if ("problem" in found) return { state: "failed", detail: found.problem };
  return { state: "scored", score: Number(found.likelihood.reward!.toPrecision(8)) };
}
