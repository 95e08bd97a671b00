import type { LanguageModelV4 } from "@ai-sdk/provider";
import { UsageError } from "../errors.ts";
import type { EngineOptions } from "../llm/engine.ts";
import type { Limits } from "../llm/rate-limiter.ts";
import type { ChatModel } from "../llm/open-model.ts";
import type { Price } from "../llm/price.ts";
import type { ReasoningEffort } from "../llm/request.ts";
import { openPurse, runFolder } from "../run/run-folder.ts";
import type { AskerOptions } from "./asker.ts";

/** How a model is asked, whatever it is asked. */
export interface OpenAskerOptions {
  /** The folder of the run that the calls are made for: its budget holds over all of them. */
  readonly run: string;
  /** The file that replies are kept in, and looked for; `.alpagasus/calls.sqlite` when left out. */
  readonly store?: string;
  /** US dollars that may be spent for the run. */
  readonly budgetUsd?: number;
  /** US dollars for a million tokens, for models that the price list does not have. */
  readonly price?: { readonly input: number; readonly output: number };
  /** The most calls in flight at a time. */
  readonly concurrency?: number;
  /** Limits a minute; those left out are read from the provider's replies. */
  readonly limits?: Limits;
  /** How long one attempt may take. */
  readonly timeoutMs?: number;
  /** How often a call is tried that fails for other reasons than the provider's load. */
  readonly maxAttempts?: number;
  /** Most tokens of a reply, reasoning included, instead of the rubric's own limit. */
  readonly maxOutputTokens?: number;
  readonly reasoning?: ReasoningEffort;
  /**
   * Ask in the provider's batches: at about half the price, within a day. `wait: false` only hands in and fetches what is
   * ready; whoever asks the same later goes on.
   */
  readonly batch?: { readonly size?: number; readonly wait?: boolean };
  /** Ask again where the call failed. */
  readonly retryFailed?: boolean;
  /** Only to plan with: nothing is written, and nothing can be asked. */
  readonly forPlan?: boolean;
  /** Stops asking: calls in flight end and are kept, what is left is `pending`. */
  readonly signal?: AbortSignal;
}

/**
 * Opens a model and its store, and what asks it; `close` closes the store.
 *
 * @throws UsageError when the name or an option makes no sense
 */
export async function openAsker<A extends object>(
  model: string | LanguageModelV4 | ChatModel,
  { run, store: storePath, price: given, forPlan = false, ...engine }: OpenAskerOptions,
  create: (
    model: ChatModel,
    asking: EngineOptions & Pick<AskerOptions, "maxOutputTokens" | "reasoning" | "batch">,
  ) => A,
): Promise<A & { close(): void }> {
  const [{ modelOf, openModel }, { flatPrice }, { CallStore, defaultStorePath }] = await Promise.all([
    import("../llm/open-model.ts"),
    import("../llm/price.ts"),
    import("../llm/call-store.ts"),
  ]);
  const price = given && flatPrice(given.input, given.output);
  const opened =
    typeof model === "string"
      ? await openModel(model, {
          ...(price && { price }),
          ...(engine.concurrency !== undefined && { connections: engine.concurrency }),
        })
      : "language" in model
        ? withPrice(model, price)
        : modelOf(model, price ? { price } : {});
  const chatModel = engine.batch ? atBatchPrice(opened) : opened;
  const path = storePath ?? defaultStorePath;
  const store = new CallStore(path, { readOnly: forPlan });
  try {
    const purse = forPlan ? "" : await openPurse(runFolder(run), path);
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

/** The model with what its calls cost in batches. @throws UsageError when its provider has none */
function atBatchPrice(model: ChatModel): ChatModel {
  if (!model.batches)
    throw new UsageError(
      `--batch: expected a model of a provider with batches (openai:, anthropic:, google:), got ${model.name}; leave --batch out`,
    );
  return { ...model, price: model.batches.price };
}
