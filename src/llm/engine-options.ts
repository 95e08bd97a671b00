import { UsageError } from "../errors.ts";
import type { CallStore } from "./call-store.ts";
import type { ChatModel } from "./chat-model.ts";
import type { Limits } from "./rate-limiter.ts";

export interface EngineOptions {
  readonly store: CallStore;
  /** The account that the calls are paid from. A budget covers everything ever paid from it. */
  readonly purse: string;
  /** Most calls in flight at once. */
  readonly concurrency?: number | undefined;
  readonly limits?: Limits | undefined;
  /** US dollars that may be spent from the purse, by all processes together. */
  readonly budgetUsd?: number | undefined;
  /** How long one attempt may take. */
  readonly timeoutMs?: number | undefined;
  /** Attempts at a call, not counting those that fail because of the provider's load. */
  readonly maxAttempts?: number | undefined;
  /** Make calls again that failed earlier; other outcomes stay as they are. */
  readonly retryFailed?: boolean | undefined;
  /** Stops the engine: no new call is sent; calls in flight are awaited and stored. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How long calls in flight are awaited after the system has ended the command (`Terminated`), in milliseconds. What has not
   * arrived by then counts as perhaps paid. Default 10 seconds.
   */
  readonly graceMs?: number | undefined;
  readonly random?: (() => number) | undefined;
}

/** @throws UsageError when a number makes no sense, or there is a budget but no price */
export function checkEngineOptions(
  model: Pick<ChatModel, "name" | "price">,
  { concurrency, budgetUsd, timeoutMs, graceMs, maxAttempts, limits = {} }: EngineOptions,
): void {
  const expect = (name: string, value: number | undefined, isRight: (value: number) => boolean, what: string) => {
    if (value !== undefined && !isRight(value)) throw new UsageError(`${name}: expected ${what}, got ${value}`);
  };
  const isCount = (value: number) => Number.isSafeInteger(value) && value > 0;
  expect("concurrency", concurrency, isCount, "a whole number from 1");
  expect("maxAttempts", maxAttempts, isCount, "a whole number from 1");
  expect("timeoutMs", timeoutMs, (value) => value > 0 && value < 2 ** 31, "milliseconds over 0");
  expect("graceMs", graceMs, (value) => value >= 0 && value < 2 ** 31, "milliseconds from 0");
  expect("budgetUsd", budgetUsd, (value) => value >= 0 && value < 1e6, "US dollars from 0, under 1,000,000");
  for (const [kind, limit] of Object.entries(limits))
    expect(`limits.${kind}`, limit, (value) => value > 0, "a number over 0");
  if (budgetUsd !== undefined && !model.price)
    throw new UsageError(
      `--budget: expected a model whose price is known, got ${model.name}; give its price with --price INPUT/OUTPUT (US dollars for a million tokens)`,
    );
}
