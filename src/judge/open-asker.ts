import type { LanguageModelV4 } from "@ai-sdk/provider";
import { UsageError } from "../errors.ts";
import type { EngineOptions } from "../llm/engine.ts";
import type { Limits } from "../llm/rate-limiter.ts";
import type { ChatModel } from "../llm/chat-model.ts";
import type { Price } from "../llm/price.ts";
import type { ReasoningEffort } from "../llm/request.ts";
import { openPurse, runFolder } from "../run/run-folder.ts";
import type { AskerOptions } from "./asker.ts";
import { expectSpendingRecord } from "../run/spent.ts";

/** Options for everything that calls a model: rating, comparing, answering. */
export interface OpenAskerOptions {
  /** The folder of the run that the calls belong to. One budget covers all calls of a run. */
  readonly run: string;
  /** The file where replies are stored and looked up. Default `.alpagasus/calls.sqlite`. */
  readonly store?: string | undefined;
  /** The most that the run may spend, in US dollars. */
  readonly budgetUsd?: number | undefined;
  /** US dollars per million tokens, for models that are not in the price list. */
  readonly price?: { readonly input: number; readonly output: number } | undefined;
  /** The most calls in flight at a time. */
  readonly concurrency?: number | undefined;
  /** Rate limits per minute. Those left out are read from the provider's replies. */
  readonly limits?: Limits | undefined;
  /** How long one attempt may take. */
  readonly timeoutMs?: number | undefined;
  /** How long calls in flight are awaited after the system has ended the command, in milliseconds. */
  readonly graceMs?: number | undefined;
  /** The most attempts per call. Failures because the provider is overloaded do not count. */
  readonly maxAttempts?: number | undefined;
  /** The most tokens in a reply, reasoning included. Replaces the rubric's limit. */
  readonly maxOutputTokens?: number | undefined;
  readonly reasoning?: ReasoningEffort | undefined;
  /**
   * Use the provider's batch API: about half the price, replies within a day. `wait: false` submits batches and fetches
   * finished ones without waiting; the same requests continue the batches later.
   */
  readonly batch?: { readonly size?: number | undefined; readonly wait?: boolean | undefined } | undefined;
  /** Repeat calls that failed before. */
  readonly retryFailed?: boolean | undefined;
  /** Count the run's spending anew, where the store that counted it is gone. */
  readonly forgetSpent?: boolean | undefined;
  /** A recipe names the model: see {@link OpenModelOptions}. */
  readonly isFromRecipe?: boolean | undefined;
  /** For planning only: nothing is written, and no calls can be made. */
  readonly forPlan?: boolean | undefined;
  /** Stops new calls. Calls in flight finish and are stored; the rest become `pending`. */
  readonly signal?: AbortSignal | undefined;
}

/** What holds a call store open. */
export interface Opened {
  /** Closes the store. */
  close(): void;
}

/**
 * Opens a model and its call store, and passes both to `create`. `close` on the result closes the store.
 *
 * @throws UsageError when the name or an option is invalid
 */
export async function openAsker<A extends object>(
  model: string | LanguageModelV4 | ChatModel,
  {
    run,
    store: storePath,
    price: given,
    forPlan = false,
    forgetSpent = false,
    isFromRecipe,
    ...engine
  }: OpenAskerOptions,
  create: (
    model: ChatModel,
    asking: EngineOptions & Pick<AskerOptions, "maxOutputTokens" | "reasoning" | "batch">,
  ) => A,
): Promise<A & Opened> {
  const [{ modelOf }, { openModel }, { flatPrice }, { CallStore, defaultStorePath }] = await Promise.all([
    import("../llm/chat-model.ts"),
    import("../llm/open-model.ts"),
    import("../llm/price.ts"),
    import("../llm/call-store.ts"),
  ]);
  const price = given && flatPrice(given.input, given.output);
  const opened =
    typeof model === "string"
      ? await openModel(model, {
          price,
          connections: engine.concurrency,
          isFromRecipe,
        })
      : "language" in model
        ? withPrice(model, price)
        : modelOf(model, price ? { price } : {});
  const chatModel = engine.batch ? atBatchPrice(opened) : opened;
  const path = storePath ?? defaultStorePath;
  if (!forPlan && !forgetSpent) await expectSpendingRecord(runFolder(run), path);
  const store = new CallStore(path, { readOnly: forPlan });
  try {
    const purse = forPlan
      ? ""
      : await openPurse(runFolder(run), path, {
          forgetSpent,
          enter: (name) => store.knowPurse(name),
          isKnown: (name) => store.knowsPurse(name),
        });
    if (!forPlan) store.knowPurse(purse); // the store was made anew, or the run by an earlier version
    const asker = create(chatModel, { ...engine, store, purse });
    return Object.assign(asker, { close: () => store[Symbol.dispose]() });
  } catch (error) {
    store[Symbol.dispose]();
    throw error;
  }
}

function withPrice(model: ChatModel, price: Price | undefined): ChatModel {
  if (!price) return model;
  return { ...model, price, ...(model.batches && { batches: { ...model.batches, price } }) };
}

/** The model with its price in batches. @throws UsageError when its provider has no batches */
function atBatchPrice(model: ChatModel): ChatModel {
  if (!model.batches)
    throw new UsageError(
      `--batch: expected a model of a provider with batches (openai:, anthropic:, google:), got ${model.name}; leave --batch out`,
    );
  return { ...model, price: model.batches.price };
}
