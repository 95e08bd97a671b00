import { hash } from "node:crypto";
import type { TestPrompt } from "../dataset/prompts.ts";
import { createAsker, type Asker, type AskerOptions } from "../judge/asker.ts";
import type { Prepare } from "../judge/judge.ts";
import { askInOrder } from "../llm/ask-in-order.ts";
import type { EngineOptions } from "../llm/engine.ts";
import type { ChatModel } from "../llm/chat-model.ts";
import type { CallOutcome } from "../llm/reply.ts";
import type { ModelRequest, ReasoningEffort } from "../llm/request.ts";
import type { TrainingRecipe } from "../trainer/recipe.ts";
import { userMessage } from "../trainer/user-message.ts";

/*
 * A model that answers test prompts.
 */

/** How answers are sampled. Defaults to greedy decoding. */
export interface AnswerSampling {
  readonly temperature?: number | undefined;
  readonly topP?: number | undefined;
  /** Makes answers at a temperature above 0 reproducible, where the server supports it. */
  readonly seed?: number | undefined;
}

export interface AnswererOptions extends EngineOptions {
  /** How an instruction and its input become one message: with the Alpaca heading for the input, or one after the other. */
  readonly template: TrainingRecipe["template"];
  readonly sampling?: AnswerSampling | undefined;
  /** The most new tokens of an answer, reasoning included. */
  readonly maxOutputTokens?: number | undefined;
  readonly reasoning?: ReasoningEffort | undefined;
  /** Use the provider's batch API. */
  readonly batch?: (AskerOptions["batch"] & {}) | undefined;
}

/**
 * How an answer ended.
 *
 * - `answered`: the model ended the answer itself. It may be empty.
 * - `cut`: the limit of new tokens or the provider's filter ended it.
 * - `refused`: the provider's filter left no answer. A model that declines in its own words has `answered`.
 * - `failed`: every attempt failed, or the prompt is too long.
 * - `pending`: no reply yet; run the same command again to continue.
 */
export const answerStates = ["answered", "cut", "refused", "failed", "pending"] as const;
export type AnswerState = (typeof answerStates)[number];

/** A prompt with a model's answer: one line of `answers/NAME.jsonl`. */
export interface AnsweredPrompt extends TestPrompt {
  readonly state: AnswerState;
  /** Null where there is no answer. */
  readonly output: string | null;
  /** Why there is no answer, or why the provider ended it. */
  readonly detail?: string | undefined;
  /** The key of the reply in the call store. */
  readonly call?: string | undefined;
}

/** A model that answers prompts. */
export interface Answerer extends Asker {
  readonly template: TrainingRecipe["template"];
  /** Whether stored calls that failed are made again. */
  readonly retryFailed: boolean;
  readonly notes: () => readonly string[];
  ask(prompt: TestPrompt): ModelRequest;
  readonly prepare: Prepare<TestPrompt>;
  /** Yields the prompts with their answers, in order, in batches as they become ready. */
  answer(prompts: AsyncIterable<readonly TestPrompt[]>): AsyncGenerator<readonly AnsweredPrompt[]>;
}

const newTokens = 1024; // AlpaGasus's limit

/** @throws UsageError when an option is invalid */
export function createAnswerer(model: ChatModel, options: AnswererOptions): Answerer {
  const { template, sampling: { temperature = 0, topP, seed } = {} } = options;
  const { asker, engine, sampling, notes, askAhead } = createAsker(model, {
    ...options,
    rubric: {
      hash: hash("sha256", JSON.stringify(["answer", template])).slice(0, 16),
      sampling: {
        temperature,
        max_output_tokens: newTokens,
        top_p: topP,
        seed,
      },
    },
  });
  const ask = (prompt: TestPrompt): ModelRequest => ({
    messages: [{ role: "user", text: userMessage(prompt, template) }],
    sampling,
  });
  return {
    ...asker,
    template,
    retryFailed: options.retryFailed ?? false,
    notes,
    ask,
    prepare: (allPrompts, onProgress) =>
      askAhead(async function* () {
        for await (const some of allPrompts()) yield some.map(ask);
      }, onProgress),
    answer: (prompts) =>
      askInOrder(engine, prompts, (prompt) => ({
        requests: [ask(prompt)],
        read: ([outcome]) => readAnswer(prompt, outcome!),
      })),
  };
}

function readAnswer(prompt: TestPrompt, outcome: CallOutcome): AnsweredPrompt {
  if (outcome.state === "pending") return { ...prompt, state: "pending", output: null, detail: outcome.detail };
  const { key: call } = outcome;
  if (outcome.state !== "replied")
    return { ...prompt, state: outcome.state, output: null, detail: outcome.detail, call };
  const { text, finish } = outcome;
  if (finish === "content-filter") {
    const detail = "the provider's filter ended the answer";
    return text === ""
      ? { ...prompt, state: "refused", output: null, detail, call }
      : { ...prompt, state: "cut", output: text, detail, call };
  }
  return { ...prompt, state: finish === "length" ? "cut" : "answered", output: text, call };
}
