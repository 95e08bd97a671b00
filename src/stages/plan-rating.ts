import { formatCount } from "../format-count.ts";
import type { Dataset } from "../dataset/open.ts";
import type { LlmJudge } from "../judge/llm.ts";
import { nanosPerUsd } from "../llm/price.ts";
import { promptBytes, requestKey, type Message } from "../llm/request.ts";
import type { Question } from "../run/manifest.ts";
import type { StageOptions } from "./progress.ts";

/** What rating a dataset with a model would take. */
export interface RatingPlan {
  readonly judge: string;
  readonly question: Question;
  readonly rows: number;
  /** The prompt of the first row. */
  readonly firstPrompt: readonly Message[];
  readonly calls: {
    /** Different calls, where several rows may be the same. */
    readonly total: number;
    /** In the store: they cost nothing. */
    readonly stored: number;
    /** Of these, those that failed; they are asked again only with `retryFailed`. */
    readonly failed: number;
    readonly left: number;
  };
  /** For the calls left. */
  readonly tokens: {
    readonly input: number;
    readonly output: number;
    /** What the figures rest on, in words. */
    readonly basis: string;
  };
  /** For the calls left, in US dollars; null when no price is known, or no call of this model tells how long its replies are. */
  readonly expectedUsd: number | null;
  /** What no bill can pass, but for retries whose reply was lost. */
  readonly highestUsd: number | null;
  readonly priceBasis: string | null;
  readonly notes: readonly string[];
}

export interface PlanRatingOptions extends StageOptions {
  readonly judge: LlmJudge;
  /** Count failed calls as calls to be made. */
  readonly retryFailed?: boolean;
}

const guessedTokensPerByte = 0.25;

/** Tells what `rate` would do, without asking anything. @throws DataError at the first row that cannot be read */
export async function planRating(
  dataset: Dataset,
  { judge, retryFailed = false, signal, onProgress }: PlanRatingOptions,
): Promise<RatingPlan> {
  const seen = new Set<string>();
  let firstPrompt: readonly Message[] = [];
  let rows = 0;
  let stored = 0;
  let failed = 0;
  let bytes = 0;
  let highest = 0;
  let left = 0;
  let intruded = 0;
  for await (const batch of dataset.batches()) {
    signal?.throwIfAborted();
    for (const example of batch) {
      const { request, intrusions } = judge.ask(example);
      if (rows++ === 0) firstPrompt = request.messages;
      if (intrusions.length > 0) intruded++;
      const key = requestKey(judge.model.identity, request);
      if (seen.has(key)) continue;
      seen.add(key);
      const call = judge.store.find(key);
      if (call?.state === "failed") failed++;
      if (call && !(retryFailed && call.state === "failed")) {
        stored++;
        continue;
      }
      left++;
      bytes += promptBytes(request);
      highest += judge.highestCost(request);
    }
    onProgress?.({ stage: "rate", doing: "planning", done: rows, unit: "rows" });
  }
  const past = judge.store.pastUse(judge.model.identity);
  const tokens = {
    input: Math.round(bytes * (past?.inputTokensPerByte ?? guessedTokensPerByte)),
    output: Math.round(left * (past?.outputTokens ?? judge.question.maxOutputTokens)),
    basis: past
      ? `the ${past.calls} calls of this model in the store`
      : "four bytes a token, and replies as long as they may be",
  };
  const { price } = judge.model;
  const calls = Math.max(1, left);
  const meanCost = price?.costOf({
    inputTokens: Math.ceil(tokens.input / calls), // the mean call's: prices may rise with its length
    outputTokens: Math.ceil(tokens.output / calls),
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
  });
  return {
    judge: judge.name,
    question: judge.question,
    rows,
    firstPrompt,
    calls: { total: seen.size, stored, failed, left },
    tokens,
    expectedUsd: meanCost === undefined || !past ? null : (left * meanCost) / nanosPerUsd,
    highestUsd: price ? highest / nanosPerUsd : null,
    priceBasis: price?.basis ?? null,
    notes: [
      ...judge.notes,
      ...(intruded > 0
        ? [`${formatCount(intruded)} rows contain parts of the rubric's own text, such as its headings`]
        : []),
      ...(judge.problem === undefined ? [] : [judge.problem]),
    ],
  };
}
