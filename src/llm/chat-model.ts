import type {
  SharedV4ProviderOptions,
  EmbeddingModelV4,
  Experimental_BatchV4 as BatchV4,
  LanguageModelV4,
  LanguageModelV4CallOptions,
} from "@ai-sdk/provider";
import type { BatchTransport } from "./batches/transport.ts";
import { redactorOf, type Redact } from "./secrets.ts";
import type { Price } from "./price.ts";
import type { ReasoningEffort } from "./request.ts";

/** The part of an AI SDK model that is used: one reply to one request. */
export type LanguageClient = Pick<LanguageModelV4, "doGenerate">;

/** A model that can be called, and what is known about it. */
export interface ChatModel {
  /** The user's name for it: `openai:gpt-5-mini`, `http://127.0.0.1:8000/v1#qwen3`. */
  readonly name: string;
  /** Name in call keys: `name`, plus the address if it is not the provider's own. */
  readonly identity: string;
  readonly language: LanguageClient;
  /** Undefined when unknown. */
  readonly price: Price | undefined;
  /** Whether it reasons before it answers, which uses output tokens. */
  readonly thinksFirst: boolean;
  /**
   * Client options for a reasoning effort, such that reasoning and answer together stay within the limit. Undefined when the
   * client's own setting does that.
   */
  readonly reason?: (
    effort: ReasoningEffort,
    maxOutputTokens: number,
  ) => Partial<LanguageModelV4CallOptions> | undefined;
  /** Client options that return log probabilities of the `top` most likely tokens; undefined if unsupported. */
  readonly tellLogprobs?: (top: number) => SharedV4ProviderOptions;
  /** The provider's batch API, if it has one. */
  readonly batches?: ModelBatches | undefined;
  /** The same name as a model that makes vectors of texts, where the provider has such models. */
  readonly embedding?: {
    open(): Promise<EmbeddingModelV4>;
    findPrice(): Promise<Price | undefined>;
  };
  /** The same model as one that measures rows, on a server of one's own. */
  readonly measuring?: LanguageClient | undefined;
  /** The servers that it runs on, where there are several: each call goes to one of them, and `language` is not asked. */
  readonly servers?: {
    current(): readonly ModelServer[];
    /** For how long all of them may be silent after a reply; a minute when left out. */
    readonly silenceMs?: number | undefined;
  };
  /** Why it cannot be called, in a line, such as a missing key. Undefined when it can. */
  readonly problem?: string | undefined;
  /** How long one attempt may take, where the caller does not say; 120 seconds when left out. */
  readonly timeoutMs?: number | undefined;
  /** What is sent otherwise than asked for, a line each. */
  readonly notes?: (() => readonly string[]) | undefined;
  /** Why no key is sent though there is one, for the message that the key was not accepted. */
  readonly keyAdvice?: string | undefined;
  /** Removes API keys from a text before it is shown or stored. */
  readonly redact: Redact;
}

/** One of several servers that run a model. */
export interface ModelServer extends Pick<ChatModel, "language" | "measuring" | "keyAdvice" | "notes" | "redact"> {
  readonly address: string;
}

/** A provider's batch API: many calls are submitted together, answered within a day, and cost less. */
export interface ModelBatches {
  readonly api: BatchV4;
  /** The provider's name of the model. */
  readonly modelId: string;
  /** Most calls and bytes that the provider accepts in one batch. */
  readonly mostCalls: number;
  readonly mostBytes: number;
  /** The price of calls in a batch; undefined when unknown. */
  readonly price: Price | undefined;
  /** Sent with every call. */
  readonly options?: SharedV4ProviderOptions;
  /** The wrapper around its HTTP requests; absent when a caller's own client sends them. */
  readonly transport?: BatchTransport;
  /** Hash of the API key that they are sent with. */
  readonly account?: string;
}

export interface OpenModelOptions {
  /** Most connections at once. */
  readonly connections?: number | undefined;
  /** Used instead of the price list. */
  readonly price?: Price | undefined;
  readonly environment?: NodeJS.ProcessEnv | undefined;
  /**
   * Whether a recipe names it, which somebody else may have written. The key for every server is then sent to servers of this
   * machine alone; others get the key of their own host.
   */
  readonly isFromRecipe?: boolean | undefined;
}

export const defaultConnections = 64;

export interface ModelOfOptions {
  readonly price?: Price | undefined;
  /** Texts, such as API keys, that are removed from errors before they are shown or stored. */
  readonly secrets?: readonly string[];
  /** The provider's batch API: `{ api: openai.experimental_batch(), … }`. */
  readonly batches?: Omit<ModelBatches, "modelId">;
}

/** Wraps any AI SDK model for the engine. Its provider and id name it in the store. */
export function modelOf(language: LanguageModelV4, { price, secrets = [], batches }: ModelOfOptions = {}): ChatModel {
  const name = `${language.provider}:${language.modelId}`;
  const redact = redactorOf(secrets);
  return {
    name,
    identity: name,
    language,
    price,
    thinksFirst: false,
    ...(language.provider.startsWith("openai.") && { tellLogprobs: openAiLogprobs }),
    ...(batches && { batches: { ...batches, modelId: language.modelId } }),
    redact,
  };
}

export function openAiLogprobs(top: number): SharedV4ProviderOptions {
  return { openai: { logprobs: top } };
}
