import type { LanguageModelV4CallOptions } from "@ai-sdk/provider";

/*
 * Requests of OpenAI's chat completions, as servers of one's own take them, and the other known ways to say the same where a
 * server refuses a parameter.
 */

/** A request's body. `undefined` fields are not sent. */
export interface ChatBody {
  readonly model: string;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly max_tokens?: number | undefined;
  readonly max_completion_tokens?: number | undefined;
  readonly temperature?: number | undefined;
  readonly top_p?: number | undefined;
  readonly seed?: number | undefined;
  readonly response_format?: object | undefined;
  readonly reasoning_effort?: string | undefined;
  readonly logprobs?: boolean | undefined;
  readonly top_logprobs?: number | undefined;
  readonly stream: false;
}

/** Name of the options, and of the metadata, of this client. */
export const compatibleOptions = "compatible";

export function chatBody(model: string, options: LanguageModelV4CallOptions): ChatBody {
  const { prompt, responseFormat, reasoning, providerOptions } = options;
  return {
    model,
    max_tokens: options.maxOutputTokens,
    temperature: options.temperature,
    top_p: options.topP,
    response_format: responseFormat?.type === "json" ? describeFormat(responseFormat) : undefined,
    seed: options.seed,
    ...providerOptions?.[compatibleOptions],
    reasoning_effort: reasoning === "provider-default" ? undefined : reasoning,
    messages: prompt.map(({ role, content }) => ({
      role,
      content:
        typeof content === "string" ? content : content.map((part) => (part.type === "text" ? part.text : "")).join(""),
    })),
    stream: false,
  };
}

/** vLLM, Ollama, llama.cpp and LM Studio all take a JSON schema. */
function describeFormat({
  schema,
  name = "response",
  description,
}: Extract<LanguageModelV4CallOptions["responseFormat"], { type: "json" }>): object {
  return schema === undefined
    ? { type: "json_object" }
    : { type: "json_schema", json_schema: { schema, strict: true, name, description } };
}

/** A known other way to say the same. */
export interface Adaptation {
  readonly note: string;
  /** Whether a refusal is about it. */
  readonly refused: RegExp;
  readonly applies: (body: ChatBody) => boolean;
  readonly apply: (body: ChatBody) => ChatBody;
}

const adaptations: readonly Adaptation[] = [
  {
    note: "the limit of tokens is sent as max_completion_tokens, since the server refuses max_tokens",
    refused:
      /max_tokens.*(unsupported|not support|unknown|unrecogni[sz]ed|not permitted|instead)|(unsupported|unknown|unrecogni[sz]ed|extra).*max_tokens/is,
    applies: ({ max_tokens: limit }) => limit !== undefined,
    apply: ({ max_tokens: limit, ...body }) => ({ ...body, max_completion_tokens: limit! }),
  },
  {
    note: "top_p 1 is left out, since the server refuses it",
    refused: /top_p/,
    applies: ({ top_p: share }) => share === 1,
    apply: (body) => ({ ...body, top_p: undefined }),
  },
  {
    note: "replies are asked for as JSON without a schema, since the server takes no schema",
    refused: /response_format|json_schema/i,
    applies: ({ response_format: format }) => format !== undefined && "json_schema" in format,
    apply: (body) => ({ ...body, response_format: { type: "json_object" } }),
  },
  {
    note: "nothing is said of the replies' format, since the server takes no response_format",
    refused: /response_format|json_object/i,
    applies: ({ response_format: format }) => format !== undefined && !("json_schema" in format),
    apply: (body) => ({ ...body, response_format: undefined }),
  },
  {
    note: "the system text stands at the head of the user's, since the server takes no system role",
    refused: /system[ _](role|message|prompt|instruction)|role ["'`]?system/i,
    applies: ({ messages }) => messages.some(({ role }) => role === "system"),
    apply: joinSystem,
  },
];

/** Puts system texts at the head of the first user's. */
function joinSystem({ messages, ...body }: ChatBody): ChatBody {
  const system = messages.filter(({ role }) => role === "system").map(({ content }) => content);
  const others = messages.filter(({ role }) => role !== "system");
  const first = others.findIndex(({ role }) => role === "user");
  return {
    ...body,
    messages: others.map((message, i) =>
      i === first ? { ...message, content: [...system, message.content].join("\n\n") } : message,
    ),
  };
}

/** The body said in the other ways. */
export function adapt(body: ChatBody, ways: Iterable<Adaptation>): ChatBody {
  let adapted = body;
  for (const way of ways) if (way.applies(adapted)) adapted = way.apply(adapted);
  return adapted;
}

/** The other way that a refusal asks for, if one is known and not yet kept. */
export function findAdaptation(body: ChatBody, said: string, kept: ReadonlySet<Adaptation>): Adaptation | undefined {
  if (/context|too (long|large)/i.test(said)) return undefined;
  return adaptations.find((way) => !kept.has(way) && way.refused.test(said) && way.applies(body));
}
