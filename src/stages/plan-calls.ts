import { type Answers } from "../comparison/answers.ts";
import { pairAnswers, type JudgedTurns } from "../comparison/pair-answers.ts";
import type { Dataset } from "../dataset/dataset.ts";
import type { TestPrompt } from "../dataset/prompts.ts";
import { formatCount, formatUsd } from "../format.ts";
import type { OpenAnswerer } from "../generation/open-answerer.ts";
import type { Asker, PlannedJudge } from "../judge/asker.ts";
import type { LlmPairJudge } from "../judge/pair-llm.ts";
import { nanosPerUsd } from "../llm/price.ts";
import { estimateTokens } from "../llm/estimate-tokens.ts";
import type { ChatModel } from "../llm/chat-model.ts";
import { promptBytes, requestKey, type Message, type ModelRequest, type ReasoningEffort } from "../llm/request.ts";
import type { Question } from "../run/records/common.ts";
import type { StageOptions } from "./progress.ts";
import { isSame } from "../comparison/verdict.ts";

/** What calling a model about many items would take. */
export interface CallPlan {
  readonly judge: string;
  readonly question: Question;
  /** Rows of a dataset, pairs of answers that differ, or prompts. */
  readonly items: number;
  readonly unit: "rows" | "pairs" | "prompts";
  readonly firstPrompt: readonly Message[];
  readonly calls: {
    /** Distinct calls; several items may have the same call. */
    readonly total: number;
    /** Calls that are the same as another one. */
    readonly shared: number;
    /** In the store: they cost nothing. */
    readonly stored: number;
    /** In the store as failed; made again only with `retryFailed`. */
    readonly failed: number;
    readonly left: number;
  };
  /** For the calls left. */
  readonly tokens: {
    readonly input: number;
    /** Expected; a typical length when the store has no reply of this model. */
    readonly output: number;
    /** If every reply reached its limit. */
    readonly highestOutput: number;
    /** The basis of the figures, in words. */
    readonly basis: string;
  };
  /** For the calls left, in US dollars; null when no price is known. */
  readonly expectedUsd: number | null;
  /** Upper bound of the bill, except for retries after lost replies. */
  readonly highestUsd: number | null;
  readonly priceBasis: string | null;
  /** The server that would be started on this machine: `vllm 0.33.0`. */
  readonly server?: string | undefined;
  readonly notes: readonly string[];
}

interface PlanOptions extends StageOptions {
  /** Count failed calls as calls to be made. */
  readonly retryFailed?: boolean | undefined;
}

export interface PlanRatingOptions extends PlanOptions {
  readonly judge: PlannedJudge;
}

export interface PlanComparisonOptions extends PlanOptions {
  readonly judge: LlmPairJudge;
  /** Which turns of prompts with several are judged. Default each. */
  readonly turns?: JudgedTurns | undefined;
}

export interface PlanAnswersOptions extends StageOptions {
  readonly answerer: OpenAnswerer;
}

const mostIntrusions = 3; // named in the note
const sampledPrompts = 500; // their tokens are estimated when the store has no reply of the model
/** Tokens of a reply, when the store has none of the model. */
export const guessedOutput = { rows: 60, pairs: 200, prompts: 300 };
/** Tokens that a model reasons before its reply, by the effort that is asked for: rather too many, since money is planned by it. */
const guessedReasoning = { none: 0, minimal: 200, low: 400, medium: 800, high: 2000, xhigh: 3000 } satisfies Record<
  ReasoningEffort,
  number
>;

/** A guess of a reply's tokens, reasoning included, where the store has no reply of the model. */
export function guessOutput(
  unit: CallPlan["unit"],
  { thinksFirst }: Pick<ChatModel, "thinksFirst">,
  effort?: string,
): { readonly reply: number; readonly reasoning: number } {
  const known = guessedReasoning as Readonly<Record<string, number>>;
  const thinks = thinksFirst || effort !== undefined;
  return { reply: guessedOutput[unit], reasoning: thinks ? (known[effort ?? "medium"] ?? guessedReasoning.medium) : 0 };
}

/** Plans what `rate` would do, without any call. @throws DataError at the first row that cannot be read */
export async function planRating(
  dataset: Pick<Dataset, "batches">,
  { judge, retryFailed = false, signal, onProgress }: PlanRatingOptions,
): Promise<CallPlan> {
  const planner = new Planner(judge, retryFailed);
  for await (const batch of dataset.batches()) {
    signal?.throwIfAborted();
    for (const example of batch) {
      if (example.unreadable !== undefined) continue;
      const { requests, intrusions } = judge.ask(example);
      planner.add(requests, intrusions);
    }
    onProgress?.({ stage: "rate", doing: "planning", done: planner.items, unit: "rows" });
  }
  return planner.plan("rows", judge.notes);
}

/** Plans what `compare` would do, without any call. @throws DataError when the answers are not to the same prompts */
export function planComparison(
  matches: readonly (readonly [a: Answers, b: Answers])[],
  { judge, retryFailed = false, turns }: PlanComparisonOptions,
): CallPlan {
  const planner = new Planner(judge, retryFailed);
  for (const [a, b] of matches) {
    for (const pair of pairAnswers(a, b, turns).pairs) {
      if (isSame(pair)) continue;
      const { requests, intrusions } = judge.ask(pair);
      planner.add(requests, intrusions);
    }
  }
  return planner.plan("pairs", judge.notes);
}

/** Plans what `generate` would do, without any call. */
export function planAnswers(prompts: readonly TestPrompt[], { answerer }: PlanAnswersOptions): CallPlan {
  const planner = new Planner(answerer, answerer.retryFailed);
  for (const prompt of prompts) planner.add(answerer.ask(prompt), []);
  const { server } = answerer;
  return { ...planner.plan("prompts", answerer.notes()), ...(server && { server: server.description }) };
}

/** Counts calls and their tokens, one item at a time. */
export class Planner {
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
  readonly #intrusions = new Set<string>(); // the first few

  constructor(asker: Asker, retryFailed: boolean) {
    this.#asker = asker;
    this.#retryFailed = retryFailed;
  }

  add(requests: readonly ModelRequest[], intrusions: readonly string[]): void {
    this.items++;
    if (this.#firstPrompt.length === 0 && requests[0]) this.#firstPrompt = requests[0].messages;
    if (intrusions.length > 0) this.#intruded++;
    for (const part of intrusions) if (this.#intrusions.size < mostIntrusions) this.#intrusions.add(part);
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
    const guess = guessOutput(unit, model, question.reasoning);
    const guessed = Math.min(question.maxOutputTokens, guess.reply + guess.reasoning);
    const output = Math.round(this.#left * (past?.outputTokens ?? guessed));
    const calls = Math.max(1, this.#left);
    const meanCost = model.price?.costOf({
      inputTokens: Math.ceil(input / calls), // of the mean call: prices may rise with its length
      outputTokens: Math.ceil(output / calls),
      cachedInputTokens: 0,
      cacheWriteTokens: 0,
      reasoningTokens: 0,
    });
    const { budgetUsd, runPaid, runPerhapsPaid } = this.#asker.accounts();
    const paid = ((runPaid ?? 0) + runPerhapsPaid) / nanosPerUsd;
    const highestUsd = model.price ? this.#highest / nanosPerUsd : null;
    // no more than at most: past calls may have been of longer prompts
    const expectedUsd =
      meanCost === undefined ? null : Math.min((this.#left * meanCost) / nanosPerUsd, highestUsd ?? Infinity);
    const isOverBudget = budgetUsd !== undefined && expectedUsd !== null && paid + expectedUsd > budgetUsd;
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
          : `an estimate from ${formatCount(this.#sampled.prompts)} prompts, and a guess of ${guess.reasoning > 0 ? `${formatCount(guessed)} tokens a reply, reasoning included,` : `${guessed} tokens a reply`} until the store has some`,
      },
      expectedUsd,
      highestUsd,
      priceBasis: model.price?.basis ?? null,
      notes: [
        ...notes,
        ...(this.#intruded > 0
          ? [
              `${formatCount(this.#intruded)} ${unit} contain parts of the rubric's own text: ${[...this.#intrusions].map((part) => JSON.stringify(part.slice(0, 60))).join(", ")}`,
            ]
          : []),
        ...(problem === undefined ? [] : [problem]),
        ...(isOverBudget
          ? [
              `the expected cost${paid > 0 ? ", with what was paid before," : ""} is above the budget: it would stop at ${formatUsd(budgetUsd)}, and continue with a larger --budget`,
            ]
          : []),
      ],
    };
  }
}
