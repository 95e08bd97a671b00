import { hash } from "node:crypto";
import type { TestPrompt } from "../dataset/prompts.ts";
import { createAsker, type Asker, type AskerOptions } from "../judge/asker.ts";
import type { Prepare } from "../judge/judge.ts";
import { askInOrder } from "../llm/ask-in-order.ts";
import type { EngineOptions } from "../llm/engine.ts";
import type { ChatModel } from "../llm/chat-model.ts";
import type { CallOutcome } from "../llm/reply.ts";
import { requestKey, type Message, type ModelRequest, type ReasoningEffort } from "../llm/request.ts";
import { withoutThinking } from "../rubric/thinking.ts";
import type { TrainingRecipe } from "../trainer/recipe.ts";
import { userMessage } from "../dataset/user-message.ts";

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
  /** The answer, to the last turn where there are several; null where there is none. */
  readonly output: string | null;
  /** The answers to all turns, up to the first that has none; absent for prompts of one turn. */
  readonly outputs?: readonly string[] | undefined;
  /** Why there is no answer, or why the provider ended it. */
  readonly detail?: string | undefined;
  /** The key of the reply in the call store; of the last turn where there are several. */
  readonly call?: string | undefined;
}

/** A model that answers prompts. */
export interface Answerer extends Asker {
  readonly template: TrainingRecipe["template"];
  /** Whether stored calls that failed are made again. */
  readonly retryFailed: boolean;
  readonly notes: () => readonly string[];
  /**
   * The requests for a prompt, one a turn. An answer that is not known yet stands for as long a one as is allowed, so that costs are not
   * underestimated.
   */
  ask(prompt: TestPrompt): readonly ModelRequest[];
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
  const askTurn = (prompt: TestPrompt, said: readonly string[]): ModelRequest => ({
    messages: prompt.turns
      ? prompt.turns
          .slice(0, said.length + 1)
          .flatMap((text, turn): Message[] => [
            { role: "user", text },
            ...(turn < said.length ? [{ role: "assistant", text: said[turn]! } as const] : []),
          ])
      : [{ role: "user", text: userMessage(prompt, template) }],
    sampling,
  });
  /** The requests of a prompt's turns, up to the first whose reply is not in the store. */
  const askKnown = (prompt: TestPrompt): { requests: ModelRequest[]; said: string[] } => {
    const requests: ModelRequest[] = [];
    const said: string[] = [];
    for (let turn = 0; turn < turnsOf(prompt); turn++) {
      const request = askTurn(prompt, said);
      requests.push(request);
      const call = prompt.turns && options.store.find(requestKey(model.identity, request));
      if (call?.state !== "replied") break;
      said.push(withoutReasoning(call.text));
    }
    return { requests, said };
  };
  const inRounds = async function* (prompts: readonly TestPrompt[]): AsyncGenerator<readonly AnsweredPrompt[]> {
    const dialogues = prompts.map((prompt): Dialogue => ({ prompt, said: [], last: undefined, wasCut: false }));
    for (;;) {
      const open = dialogues.filter(({ prompt, said, last }) => said.length < turnsOf(prompt) && canGoOn(last));
      if (open.length === 0) break;
      const round = askInOrder(engine, inChunks(open), (dialogue) => ({
        requests: [askTurn(dialogue.prompt, dialogue.said)],
        read: ([outcome]) => takeTurn(dialogue, outcome!),
      }));
      for await (const some of round) void some; // each is kept in its dialogue
    }
    yield dialogues.map(readDialogue);
  };
  return {
    ...asker,
    template,
    retryFailed: options.retryFailed ?? false,
    notes,
    ask(prompt) {
      const { requests, said } = askKnown(prompt);
      const unknown = "word ".repeat(sampling.maxOutputTokens);
      while (requests.length < turnsOf(prompt)) {
        said.push(unknown);
        requests.push(askTurn(prompt, said));
      }
      return requests;
    },
    async prepare(allPrompts, onProgress) {
      for (let before = -1; ;) {
        const requests: ModelRequest[] = [];
        for await (const some of allPrompts()) for (const prompt of some) requests.push(...askKnown(prompt).requests);
        if (requests.length === before) return; // no turn has become known: all that can be asked is
        before = requests.length;
        await askAhead(() => inChunks(requests), onProgress);
      }
    },
    async *answer(prompts) {
      const all: TestPrompt[] = [];
      for await (const some of prompts) all.push(...some);
      if (all.some(({ turns }) => turns)) yield* inRounds(all);
      else
        yield* askInOrder(engine, inChunks(all), (prompt) => ({
          requests: [askTurn(prompt, [])],
          read: ([outcome]) => readAnswer(prompt, outcome!),
        }));
    },
  };
}

/** A prompt and what the model has answered so far. */
interface Dialogue {
  readonly prompt: TestPrompt;
  /** The answers without their reasoning, as later turns see them. */
  readonly said: string[];
  last: AnsweredPrompt | undefined;
  /** Whether an answer so far was cut. */
  wasCut: boolean;
}

function turnsOf({ turns }: TestPrompt): number {
  return turns?.length ?? 1;
}

/** Whether the next turn can be asked after this one. An answer that was cut is one. */
function canGoOn(last: AnsweredPrompt | undefined): boolean {
  return last === undefined || last.output !== null;
}

function takeTurn(dialogue: Dialogue, outcome: CallOutcome): Dialogue {
  dialogue.last = readAnswer(dialogue.prompt, outcome);
  dialogue.wasCut ||= dialogue.last.state === "cut";
  if (dialogue.last.output !== null) dialogue.said.push(withoutReasoning(dialogue.last.output));
  return dialogue;
}

/** A conversation is cut if one of its answers is. */
function readDialogue({ prompt, said, last, wasCut }: Dialogue): AnsweredPrompt {
  if (!prompt.turns) return last!; // every prompt was asked at least once
  const isCut = wasCut && last!.state === "answered";
  return { ...last!, ...(isCut && { state: "cut" as const }), outputs: said };
}

/** An answer as it stands in the conversation that goes on: chat templates leave reasoning out of earlier turns. */
function withoutReasoning(text: string): string {
  return withoutThinking(text).trimStart();
}

const chunk = 100;

async function* inChunks<T>(items: readonly T[]): AsyncGenerator<readonly T[]> {
  for (let from = 0; from < items.length; from += chunk) yield items.slice(from, from + chunk);
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
  if (finish === "other" && text === "")
    return {
      ...prompt,
      state: "failed",
      output: null,
      detail: "it ended without a text, such as by calling a tool",
      call,
    };
  if (finish === "unclear")
    return { ...prompt, state: "cut", output: text, detail: "it ended for a reason that is not known", call };
  return { ...prompt, state: finish === "length" ? "cut" : "answered", output: text, call };
}
