import type { Example } from "../dataset/example.ts";
import { dataErrorAt } from "../dataset/place.ts";
import { messageOf, UsageError } from "../errors.ts";
import { askInOrder } from "../llm/ask-in-order.ts";
import type { ChatModel } from "../llm/chat-model.ts";
import type { CallOutcome } from "../llm/reply.ts";
import type { ModelRequest, ReplySchema } from "../llm/request.ts";
import { formatCount, formatNumbered, formatScore, formatShare } from "../format.ts";
import { readExpectedScore } from "../rubric/expected-score.ts";
import { meanOfReplies } from "../rubric/mean-of-replies.ts";
import { meanMarks, readMarks } from "../rubric/read-marks.ts";
import { readScore } from "../rubric/read-score.ts";
import { createRenderer, PromptTooLong } from "../rubric/render.ts";
import type { Rubric } from "../rubric/rubric.ts";
import type { Rating } from "../run/rating.ts";
import { commonestScore } from "../stats/histogram.ts";
import { createAsker, type Asker, type AskerOptions } from "./asker.ts";
import type { Judge } from "./judge.ts";

export interface LlmJudgeOptions extends AskerOptions {
  readonly rubric: Rubric;
}

/** A judge that calls a model. `ask` gives its requests without sending them. */
export interface LlmJudge extends Asker, Omit<Judge, keyof Asker> {
  /** The requests for one example: one per reply wanted. */
  ask(example: Example): {
    readonly requests: readonly ModelRequest[];
    readonly intrusions: readonly string[];
    /** How many turns its prompts leave out. */
    readonly leftOut?: number | undefined;
    /** Why there is no request. */
    readonly problem?: string | undefined;
  };
  readonly rubric: Rubric;
}

const topLogprobs = 20; // the most that OpenAI and vLLM return

const mostSamples = 100; // each is a call of its own

/**
 * Creates a judge that asks a model about each example, with a rubric's prompt. Replies are looked up in the call store
 * first, and new ones are stored there. When the engine stops (interrupted, out of budget), the remaining examples are
 * `pending`.
 *
 * With `logprobs` the score is the mean of the scores it could have written (see `readExpectedScore`), with `samples` the
 * mean of that many replies.
 *
 * `rate` throws an error that stops the engine for good (a rejected key, an unknown model), after all calls in flight have
 * ended.
 */
export function createLlmJudge(model: ChatModel, options: LlmJudgeOptions): LlmJudge {
  const { rubric, logprobs = false, samples = 1, probe } = options;
  if (!(samples <= mostSamples))
    throw new UsageError(`--samples: expected at most ${mostSamples} replies to a row, got ${samples}`);
  if (logprobs && samples > 1)
    throw new UsageError("--samples: expected either --logprobs or --samples, got both; leave one out");
  if (logprobs && !model.tellLogprobs)
    throw new UsageError(
      `--logprobs: expected a model that returns token probabilities (an openai: model that does not reason first, or your own server), got ${model.name}; use --samples`,
    );
  const piles = new TieCounter();
  const { asker, engine, sampling, counts, notes, askAhead } = createAsker(model, options);
  const replySchema = replySchemaOf(rubric);
  const render = createRenderer(rubric);

  const renderAt = (example: Example) => {
    try {
      return render(example);
    } catch (cause) {
      if (cause instanceof PromptTooLong) return cause;
      throw dataErrorAt(
        example.place,
        `expected a row that the rubric ${rubric.name} can show, got an error: ${messageOf(cause)}`,
        cause,
      );
    }
  };
  const ask: LlmJudge["ask"] = (example) => {
    const prompt = renderAt(example);
    if (prompt instanceof PromptTooLong) return { requests: [], intrusions: [], problem: prompt.message };
    const { messages, intrusions, leftOut } = prompt;
    const request: ModelRequest = {
      messages,
      sampling,
      replySchema,
      ...(logprobs && { topLogprobs }),
      sample: probe,
    };
    const more = Array.from({ length: samples - 1 }, (_, i) => ({
      ...request,
      sample: probe === undefined ? i + 1 : `${probe}:${i + 1}`,
    }));
    return { requests: [request, ...more], intrusions, leftOut };
  };
  let shortened = 0;
  const toRating = (
    outcomes: readonly CallOutcome[],
    { intrusions, leftOut, problem }: ReturnType<LlmJudge["ask"]>,
  ): Rating => {
    if (problem !== undefined) return { state: "failed", detail: problem };
    const rating = readOutcomes(outcomes);
    if (leftOut !== undefined) shortened++;
    if (intrusions.length > 0) counts.intruded++;
    return {
      ...rating,
      ...(intrusions.length > 0 && { intrusions }),
      ...(leftOut !== undefined && { turnsLeftOut: leftOut }),
    };
  };
  const readOutcomes = (outcomes: readonly CallOutcome[]): Rating => {
    const ratings = outcomes.map((outcome) => readOutcome(outcome, rubric, logprobs));
    const rating = samples === 1 ? ratings[0]! : meanOf(ratings);
    piles.add(rating);
    if (rating.state === "truncated") counts.truncated++;
    return rating;
  };

  return {
    ...asker,
    rubric,
    scale: { min: rubric.scale.min, max: rubric.scale.max },
    ask,
    get notes() {
      return [
        ...notes(),
        ...(samples > 1
          ? [`each score is the mean of ${samples} replies, drawn at temperature ${sampling.temperature}`]
          : []),
        ...(shortened > 0
          ? [
              `${formatNumbered(shortened, "prompt leaves", "prompts leave")} out turns in the middle of the conversation, to stay under ${formatCount(rubric.max_prompt_tokens!)} tokens ("turnsLeftOut" in ratings.jsonl)`,
            ]
          : []),
        ...piles.describe(),
      ];
    },
    prepare(examples, onProgress) {
      if (model.problem !== undefined) throw new UsageError(model.problem);
      return askAhead(async function* () {
        for await (const batch of examples()) yield batch.flatMap((example) => ask(example).requests);
      }, onProgress);
    },
    rate(examples) {
      if (model.problem !== undefined) throw new UsageError(model.problem);
      return askInOrder(engine, examples, (example) => {
        const asked = ask(example);
        return { requests: asked.requests, read: (outcomes) => toRating(outcomes, asked) };
      });
    },
  };
}

function readOutcome(outcome: CallOutcome, rubric: Rubric, hasLogprobs: boolean): Rating {
  if (outcome.state === "replied") {
    const { text, finish, logprobs, key } = outcome;
    const read = hasLogprobs ? readExpectedScore(text, finish, logprobs, rubric) : readScore(text, finish, rubric);
    const marks = read.state === "scored" ? readMarks(text, rubric) : undefined;
    return { ...read, ...(marks && { marks }), call: key };
  }
  if (outcome.state === "pending") return { state: "pending", detail: outcome.detail };
  return { state: outcome.state, detail: outcome.detail, call: outcome.key };
}

function meanOf(ratings: readonly Rating[]): Rating {
  const calls = ratings.flatMap(({ call }) => (call === undefined ? [] : [call]));
  const [call] = calls;
  const mean = meanOfReplies(ratings);
  const marks = mean.state === "scored" ? meanMarks(ratings.map((rating) => rating.marks)) : undefined;
  return { ...mean, ...(marks && { marks }), ...(call !== undefined && { call, calls }) };
}

/** Counts how many rows share a score, as written and as mean, to show that means break ties. */
class TieCounter {
  readonly #written = new Map<number, number>();
  readonly #means = new Map<number, number>();

  add(rating: Rating): void {
    if (rating.state !== "scored" || rating.written === undefined) return;
    const mean = Number(rating.score.toFixed(4));
    this.#written.set(rating.written, (this.#written.get(rating.written) ?? 0) + 1);
    this.#means.set(mean, (this.#means.get(mean) ?? 0) + 1);
  }

  describe(): string[] {
    const [written, mean] = [commonestScore(this.#written), commonestScore(this.#means)];
    if (!written || !mean) return [];
    return [
      `${formatShare(written.share)} of the written scores are ${formatScore(written.score)}; the commonest mean score, to four digits (${formatScore(mean.score)}), has ${formatShare(mean.share)}`,
    ];
  }
}

function replySchemaOf({ name, scale, reply }: Rubric): ReplySchema | undefined {
  if (reply.format !== "json") return undefined;
  const score = { type: scale.step === 1 && Number.isInteger(scale.min) ? "integer" : "number" } as const;
  const schema = reply.schema ?? {
    type: "object",
    properties: { reason: { type: "string" }, [reply.score]: score },
    required: ["reason", reply.score],
    additionalProperties: false,
  };
  return { name: name.replaceAll("-", "_"), schema };
}
