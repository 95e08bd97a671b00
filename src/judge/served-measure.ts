import type { Example } from "../dataset/example.ts";
import { UsageError } from "../errors.ts";
import { formatCount } from "../format.ts";
import { defaultMaxLength, type LikelihoodOf, type RowParts } from "../likelihood/measure.ts";
import type { LikelihoodKind, readServedMeasure } from "../likelihood/measure-name.ts";
import { toParts } from "../likelihood/row-parts.ts";
import { askInOrder } from "../llm/ask-in-order.ts";
import type { ChatModel } from "../llm/chat-model.ts";
import { readMeasurement, toMeasuringModel, type MeasureRequest } from "../llm/measuring-model.ts";
import { openModel } from "../llm/open-model.ts";
import { flatPrice } from "../llm/price.ts";
import type { CallOutcome } from "../llm/reply.ts";
import type { ModelRequest } from "../llm/request.ts";
import type { Rating } from "../run/rating.ts";
import type { Gate } from "../run/records/common.ts";
import { createAsker, type AskerOptions, type PlannedJudge } from "./asker.ts";
import { JudgeCheckError } from "./checked.ts";
import { openAsker, type OpenAskerOptions, type Opened } from "./open-asker.ts";
import {
  nameLikelihood,
  noteCounts,
  noteLikelihood,
  rateLikelihood,
  refuseToMeasure,
  scaleOf,
  type LikelihoodCounts,
  type LikelihoodJudgeOptions,
} from "./likelihood.ts";
import { checkPairs, defaultRewardLength, nameReward, rateReward, refuseToScore, rewardNote } from "./reward.ts";

/*
 * The judges of likelihood.ts and reward.ts with a model behind a server of one's own: `ifd:http://127.0.0.1:8000/v1#base`. A row is one
 * call of the engine: kept in the call store, resumed, shared among several servers.
 */

type ServedMeasureOptions = Omit<AskerOptions, "rubric"> & {
  readonly measuring?: Pick<LikelihoodJudgeOptions, "template" | "maxLength"> | undefined;
  /** Whether a reward model that fails the check rates nothing (the default). The check is made in any case. */
  readonly check?: boolean | undefined;
};

/**
 * Opens such a judge and its call store. Opening makes no calls.
 *
 * @throws UsageError when the model is behind a provider, or an option does not go with a server
 */
export async function openServedMeasure(
  { kind, model }: NonNullable<ReturnType<typeof readServedMeasure>>,
  { measuring, check, ...others }: OpenAskerOptions & Pick<ServedMeasureOptions, "measuring" | "check">,
): Promise<PlannedJudge & Opened> {
  const { price: given, concurrency, isFromRecipe } = others;
  const price = given && flatPrice(given.input, given.output);
  const opened = toMeasuringModel(await openModel(model, { price, connections: concurrency, isFromRecipe }));
  return openAsker(opened, others, (asked, asking) =>
    createServedMeasure(kind, asked, { ...asking, measuring, check }),
  );
}

function createServedMeasure(
  kind: LikelihoodKind | "reward",
  model: ChatModel,
  { measuring = {}, check = true, ...asking }: ServedMeasureOptions,
): PlannedJudge {
  const isReward = kind === "reward";
  const { template = isReward ? "chat" : "plain" } = measuring;
  const { maxLength = isReward ? defaultRewardLength : defaultMaxLength } = measuring;
  if (asking.batch) throw new UsageError(`--batch: expected a provider's model, got ${model.name}; leave it out`);
  if (template === "alpaca")
    throw new UsageError(
      `--template alpaca: expected plain or chat with ${model.name}, since the paper's prompt ends with a token that servers do not tell`,
    );
  if (isReward && measuring.template !== undefined)
    throw new UsageError("--template: a reward model has a chat template of its own; leave the option out");
  if (isReward && measuring.maxLength !== undefined)
    throw new UsageError(`--max-length: ${model.name} has its server's limit; leave the option out`);
  const { asker, engine, sampling, notes } = createAsker(model, {
    ...asking,
    reasoning: undefined, // it and the next two are for judges that reply
    logprobs: undefined,
    samples: undefined,
    maxOutputTokens: 1, // the least that a server makes
    rubric: {
      hash: [`measures ${kind}`, template, maxLength].join(" "),
      sampling: { max_output_tokens: 1, temperature: 0, top_p: undefined },
    },
  });
  const counts: LikelihoodCounts = { known: 0, cut: 0, over: 0 };
  let checks: readonly Gate[] | undefined;
  const needs: MeasureRequest["needs"] = isReward ? ["reward"] : kind === "ifd" ? ["answer", "alone"] : ["answer"];
  const toRequest = ({ prompt, answer, options }: RowParts): ModelRequest => {
    const asked = { needs, prompt, answer, options, maxLength };
    return { messages: [{ role: "user", text: JSON.stringify(asked) }], sampling };
  };
  const refuse = (example: Example) => (isReward ? refuseToScore(example) : refuseToMeasure(example, template));
  const ask = (example: Example) => ({
    requests: refuse(example) ? [] : [toRequest(toParts(example, template))],
    intrusions: [],
  });
  const read = (outcome: CallOutcome): Rating => {
    if (outcome.state === "pending") return { state: "pending", detail: outcome.detail };
    if (outcome.state !== "replied") return { state: outcome.state, detail: outcome.detail, call: outcome.key };
    const found = toLikelihood(outcome.text);
    return { ...(kind === "reward" ? rateReward(found) : rateLikelihood(found, kind, counts)), call: outcome.key };
  };

  return {
    ...asker,
    name: isReward ? nameReward(model.name, maxLength) : nameLikelihood(kind, model.name, { template, maxLength }),
    scale: isReward ? undefined : scaleOf(kind),
    ask,
    get checks() {
      return checks;
    },
    get alarms() {
      return checks?.flatMap(({ held, message }) => (held ? [] : [message])) ?? [];
    },
    get notes() {
      return [
        ...(isReward ? [rewardNote, `scored by ${model.name}`] : noteLikelihood(kind, model.name, template)),
        "a server is known by its model's name: after other weights are loaded there under that name, use another store or name",
        ...noteCounts(counts, `${formatCount(maxLength)} tokens or the server's own limit`),
        ...notes(),
      ];
    },
    async *rate(examples) {
      if (model.problem !== undefined) throw new UsageError(model.problem);
      counts.cut = counts.over = 0;
      if (isReward) {
        let isStopped = false; // a budget that has ended says nothing of the model: the rows are then pending
        const gate = await checkPairs(async (pairs) => {
          const outcomes = await measureAll(pairs);
          isStopped = outcomes.some(({ state }) => state === "pending");
          return outcomes.map((outcome) =>
            outcome.state === "replied" ? toLikelihood(outcome.text) : { problem: outcome.detail },
          );
        }, model.name);
        checks = isStopped ? undefined : [gate];
        if (!gate.held && check && !isStopped) {
          engine.stop();
          await engine.idle();
          throw new JudgeCheckError(`${gate.message}. ${advice}`);
        }
      }
      yield* askInOrder(engine, examples, (example) => {
        const refusal = refuse(example);
        return { requests: ask(example).requests, read: ([outcome]) => refusal ?? read(outcome!) };
      });
    },
  };

  async function measureAll(rows: readonly RowParts[]): Promise<CallOutcome[]> {
    const outcomes = await Promise.all(rows.map(async (row) => engine.call(toRequest(row))));
    if (engine.failure && !engine.hasReplied) throw engine.failure;
    return outcomes;
  }
}

const advice =
  "Look whether it is a reward model with one output, and whether the server has the chat template it was trained with; --no-check rates all the same";

function toLikelihood(text: string): LikelihoodOf {
  const found = readMeasurement(text);
  if (!found) return { problem: "what was measured cannot be read" };
  return "problem" in found ? found : { likelihood: found };
}
