import { UsageError } from "../errors.ts";
import type { CallStore } from "./call-store.ts";
import type { ChatModel } from "./open-model.ts";
import type { Limits } from "./rate-limiter.ts";

export interface EngineOptions {
  readonly store: CallStore;
  /** What the calls are made for; a budget holds over everything that was ever paid under this name. */
  readonly purse: string;
  /** The most calls in flight at a time. */
  readonly concurrency?: number;
  readonly limits?: Limits;
  /** US dollars that may be spent from the purse, by all processes together. */
  readonly budgetUsd?: number;
  /** How long one attempt may take. */
  readonly timeoutMs?: number;
  /** How often a call is tried that fails for other reasons than the provider's load. */
  readonly maxAttempts?: number;
  /** Ask again for calls that failed earlier; other outcomes stay what they are. */
  readonly retryFailed?: boolean;
  /** Stops the engine: nothing new is sent, what is in flight is waited for and kept. */
  readonly signal?: AbortSignal;
  readonly random?: () => number;
}

/** @throws UsageError at a number that makes no sense, or where there is a budget but no price */
export function checkEngineOptions(
  model: Pick<ChatModel, "name" | "price">,
  { concurrency, budgetUsd, timeoutMs, maxAttempts, limits = {} }: EngineOptions,
): void {
  const expect = (name: string, value: number | undefined, isRight: (value: number) => boolean, what: string) => {
    if (value !== undefined && !isRight(value)) throw new UsageError(`${name}: expected ${what}, got ${value}`);
  };
  const isCount = (value: number) => Number.isSafeInteger(value) && value > 0;
  expect("concurrency", concurrency, isCount, "a whole number from 1");
  expect("maxAttempts", maxAttempts, isCount, "a whole number from 1");
  expect("timeoutMs", timeoutMs, (value) => value > 0 && value < 2 ** 31, "milliseconds over 0");
  expect("budgetUsd", budgetUsd, (value) => value >= 0 && value < 1e6, "US dollars from 0");
  for (const [kind, limit] of Object.entries(limits))
    expect(`limits.${kind}`, limit, (value) => value > 0, "a number over 0");
  if (budgetUsd !== undefined && !model.price)
    throw new UsageError(
      `--budget: expected a model whose price is known, got ${model.name}; give its price with --price INPUT/OUTPUT (US dollars for a million tokens)`,
    );
}
