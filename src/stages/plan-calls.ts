import { type Answers, pairAnswers } from "../comparison/answers.ts";
import type { Dataset } from "../dataset/open.ts";
import type { TestPrompt } from "../dataset/prompts.ts";
import { formatCount } from "../format.ts";
import type { OpenAnswerer } from "../generation/open-answerer.ts";
import type { Asker } from "../judge/asker.ts";
import type { LlmJudge } from "../judge/llm.ts";
import type { LlmPairJudge } from "../judge/pair-llm.ts";
import { nanosPerUsd } from "../llm/price.ts";
import { estimateTokens } from "../llm/estimate-tokens.ts";
import { promptBytes, requestKey, type Message, type ModelRequest } from "../llm/request.ts";
import type { Question } from "../run/records/common.ts";
import type { StageOptions } from "./progress.ts";

/** What asking a model about many things would take. */
export interface CallPlan {
  readonly judge: string;
  readonly question: Question;
  /** Rows of a dataset, pairs of answers that differ, or prompts. */
  readonly items: number;
  readonly unit: "rows" | "pairs" | "prompts";
  readonly firstPrompt: readonly Message[];
  readonly calls: {
    /** Different calls, where several items may be the same. */
    readonly total: number;
    /** Calls that are the same as another one. */
    readonly shared: number;
    /** In the store: they cost nothing. */
    readonly stored: number;
    /** Of these, those that failed; they are asked again only with `retryFailed`. */
    readonly failed: number;
    readonly left: number;
  };
  /** For the calls left. */
  readonly tokens: {
    readonly input: number;
    /** Expected; where no reply of this model is in the store, as many as such replies have in general. */
    readonly output: number;
    /** If every reply were as long as it may be. */
    readonly highestOutput: number;
    /** What the figures rest on, in words. */
    readonly basis: string;
  };
  /** For the calls left, in US dollars; null when no price is known. */
  readonly expectedUsd: number | null;
  /** What no bill can pass, but for retries whose reply was lost. */
  readonly highestUsd: number | null;
  readonly priceBasis: string | null;
  /** What would be started for it on this machine: `vllm 0.33.0`. */
  readonly server?: string;
  readonly notes: readonly string[];
}

interface PlanOptions extends StageOptions {
  /** Count failed calls as calls to be made. */
  readonly retryFailed?: boolean;
}

export interface PlanRatingOptions extends PlanOptions {
  readonly judge: LlmJudge;
}

export interface PlanComparisonOptions extends PlanOptions {
  readonly judge: LlmPairJudge;
}

export interface PlanAnswersOptions extends StageOptions {
  readonly answerer: OpenAnswerer;
}

const sampledPrompts = 500; // whose tokens are estimated, where no reply of the model tells
/** Tokens of a reply, where none of the model is in the store. */
export const guessedOutput = { rows: 60, pairs: 200, prompts: 300 };

/** Tells what `rate` would do, without asking anything. @throws DataError at the first row that cannot be read */
export async function planRating(
  dataset: Pick<Dataset, "batches">,
  { judge, retryFailed = false, signal, onProgress }: PlanRatingOptions,
): Promise<CallPlan> {
  const planner = new Planner(judge, retryFailed);
  for await (const batch of dataset.batches()) {
    signal?.throwIfAborted();
    for (const example of batch) {
      const { requests, intrusions } = judge.ask(example);
      planner.add(requests, intrusions);
    }
    onProgress?.({ stage: "rate", doing: "planning", done: planner.items, unit: "rows" });
  }
  return planner.plan("rows", judge.notes);
}

/** Tells what `compare` would do, without asking anything. @throws DataError when the answers are not to the same prompts */
export function planComparison(
  matches: readonly (readonly [a: Answers, b: Answers])[],
  { judge, retryFailed = false }: PlanComparisonOptions,
): CallPlan {
  const planner = new Planner(judge, retryFailed);
  for (const [a, b] of matches) {
    for (const pair of pairAnswers(a, b).pairs) {
      if (pair.answers[0] === pair.answers[1]) continue;
      const { requests, intrusions } = judge.ask(pair);
      planner.add(requests, intrusions);
    }
  }
  return planner.plan("pairs", judge.notes);
}

/** Tells what `generate` would do, without asking anything. */
export function planAnswers(prompts: readonly TestPrompt[], { answerer }: PlanAnswersOptions): CallPlan {
  const planner = new Planner(answerer, answerer.retryFailed);
  for (const prompt of prompts) planner.add([answerer.ask(prompt)], []);
  const { server } = answerer;
  return { ...planner.plan("prompts", answerer.notes()), ...(server && { server: server.description }) };
}

/** Counts calls as they come. */
class Planner {
  items = 0;
  readonly #asker: Asker;
  readonly #retryFailed: boolean;
  readonly #seen = new Set<string>();
  #firstPrompt: readonly Message[] = [];
  #shared = 0;
  #stored = 0;
  #failed = 0;
  #left = 0;
  #bytes = 0;
  #sampled = { prompts: 0, bytes: 0, tokens: 0 };
  #highest = 0;
  #intruded = 0;

  constructor(asker: Asker, retryFailed: boolean) {
    this.#asker = asker;
    this.#retryFailed = retryFailed;
  }

  add(requests: readonly ModelRequest[], intrusions: readonly string[]): void {
    if (this.items++ === 0) this.#firstPrompt = requests[0]!.messages;
    if (intrusions.length > 0) this.#intruded++;
    for (const request of requests) this.#addCall(request);
  }

  #addCall(request: ModelRequest): void {
    const key = requestKey(this.#asker.model.identity, request);
    if (this.#seen.has(key)) {
      this.#shared++;
      return;
    }
    this.#seen.add(key);
    const call = this.#asker.store.find(key);
    if (call?.state === "failed") this.#failed++;
    if (call && !(this.#retryFailed && call.state === "failed")) {
      this.#stored++;
      return;
    }
    this.#left++;
    const bytes = promptBytes(request);
    this.#bytes += bytes;
    if (this.#sampled.prompts < sampledPrompts) {
      this.#sampled.prompts++;
      this.#sampled.bytes += bytes;
      for (const { text } of request.messages) this.#sampled.tokens += estimateTokens(text);
    }
    this.#highest += this.#asker.highestCost(request);
  }

  plan(unit: CallPlan["unit"], notes: readonly string[]): CallPlan {
    const { model, store, question, problem, name } = this.#asker;
    const past = store.pastUse(model.identity);
    const perByte = past?.inputTokensPerByte ?? this.#sampled.tokens / Math.max(1, this.#sampled.bytes);
    const input = Math.round(this.#bytes * perByte);
    const guessed = Math.min(question.maxOutputTokens, guessedOutput[unit]);
    const output = Math.round(this.#left * (past?.outputTokens ?? guessed));
    const calls = Math.max(1, this.#left);
    const meanCost = model.price?.costOf({
      inputTokens: Math.ceil(input / calls), // the mean call's: prices may rise with its length
      outputTokens: Math.ceil(output / calls),
      cachedInputTokens: 0,
      cacheWriteTokens: 0,
      reasoningTokens: 0,
    });
    return {
      judge: name,
      question,
      items: this.items,
      unit,
      firstPrompt: this.#firstPrompt,
      calls: {
        total: this.#seen.size,
        shared: this.#shared,
        stored: this.#stored,
        failed: this.#failed,
        left: this.#left,
      },
      tokens: {
        input,
        output,
        highestOutput: this.#left * question.maxOutputTokens,
        basis: past
          ? `the ${formatCount(past.calls)} calls of this model in the store`
          : `an estimate of ${formatCount(this.#sampled.prompts)} prompts, and ${guessed} tokens a reply, a guess until some are in the store`,
      },
      expectedUsd: meanCost === undefined ? null : (this.#left * meanCost) / nanosPerUsd,
      highestUsd: model.price ? this.#highest / nanosPerUsd : null,
      priceBasis: model.price?.basis ?? null,
      notes: [
        ...notes,
        ...(this.#intruded > 0
          ? [`${formatCount(this.#intruded)} ${unit} contain parts of the rubric's own text, such as its headings`]
          : []),
        ...(problem === undefined ? [] : [problem]),
      ],
    };
  }
}
