import {
  APICallError,
  UnsupportedFunctionalityError,
  type LanguageModelV4CallOptions,
  type LanguageModelV4GenerateResult,
} from "@ai-sdk/provider";
import { version } from "../version.ts";
import type { LanguageClient } from "./chat-model.ts";
import { readBody, readError } from "./chat-reply.ts";
import type { MeasuredSum, Measurement, MeasureRequest } from "./measuring-model.ts";
import type { SendRequest } from "./send-request.ts";

/*
 * The client of a server that measures rows: see measuring-model.ts. vLLM has what it takes: `/tokenize`, the prompt's probabilities (`echo`
 * with `logprobs`), `/classify` and `/pooling`.
 */

interface MeasuringOptions {
  /** The server's address without a trailing slash: `http://127.0.0.1:8000/v1`. */
  readonly baseURL: string;
  readonly model: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly send: SendRequest;
}

type Json = Readonly<Record<string, unknown>>;

const mostProbability = 1e-3; // the logarithm of 1, with the noise of half precision
const noProbability = -9999; // vLLM writes this for minus infinity
const whoCan =
  "vLLM can; llama.cpp and providers cannot: use vLLM, or measure on this machine (a folder or Hub id after the colon)";

export function createMeasuringClient({ baseURL, model, headers: given, send }: MeasuringOptions): LanguageClient {
  const headers = { "content-type": "application/json", "user-agent": `alpagasus/${version}`, ...given };
  const root = baseURL.replace(/\/v\d+$/, "");
  let scorer: "classify" | "pooling" | undefined; // which one gives rewards there, once that is known
  return {
    async doGenerate({ prompt, abortSignal }: LanguageModelV4CallOptions): Promise<LanguageModelV4GenerateResult> {
      const last = prompt.at(-1)?.content;
      const text =
        typeof last === "string" ? last : (last ?? []).map((part) => ("text" in part ? part.text : "")).join("");
      const asked = JSON.parse(text) as MeasureRequest; // written by the judge that measures
      let read = 0;
      let replied: Readonly<Record<string, string>> = {};
      const post = async (url: string, body: Json): Promise<Json> => {
        const reply = await send(url, {
          method: "POST",
          headers,
          body: JSON.stringify({ model, ...body }),
          signal: abortSignal,
        });
        replied = reply.headers;
        const found = readBody(reply);
        const fail = (statusCode: number, message: string) =>
          new APICallError({
            message,
            url,
            requestBodyValues: { model },
            statusCode,
            responseHeaders: reply.headers,
            responseBody: found.text.slice(0, 4000),
            isRetryable: false, // the engine decides that
          });
        const error = readError(found, reply.status);
        if (error) throw fail(error.status, error.message);
        if (typeof found.value !== "object" || found.value === null) throw fail(reply.status, "not JSON");
        return found.value as Json;
      };
      const found = asked.needs.includes("reward")
        ? await measureReward(asked, post)
        : await measureTokens(asked, post, (tokens) => (read += tokens));
      return {
        content: [{ type: "text", text: JSON.stringify(found) }],
        finishReason: { unified: "stop", raw: undefined },
        usage: {
          inputTokens: { total: read, noCache: read, cacheRead: undefined, cacheWrite: undefined },
          outputTokens: { total: 0, text: undefined, reasoning: undefined },
        },
        warnings: [],
        response: { headers: replied },
      };
    },
  };

  async function measureTokens(
    asked: MeasureRequest,
    post: Post,
    count: (tokens: number) => void,
  ): Promise<Measurement> {
    const parts = await tokensOf(asked, post);
    if (typeof parts === "string") return { problem: parts };
    const { whole, alone, isCut } = parts;
    const answer = await sumOf(whole, post, count);
    const byItself = alone && (await sumOf(alone, post, count));
    return answer && (byItself || !alone)
      ? { answer, alone: byItself, isCut }
      : { problem: "the model gives its tokens no finite probability" };
  }

  /** Undefined where a token has no finite probability. */
  async function sumOf(
    { ids, start }: Part,
    post: Post,
    count: (tokens: number) => void,
  ): Promise<MeasuredSum | undefined> {
    if (ids.length <= start) return { nll: 0, tokens: 0 };
    const reply = await post(`${baseURL}/completions`, {
      prompt: ids,
      max_tokens: 1, // no server takes 0; it is left out below
      temperature: 0,
      echo: true,
      logprobs: 1,
      stream: false,
    });
    count(ids.length);
    const probabilities = firstOf(reply["choices"])?.["logprobs"] as Json | null | undefined;
    const own = probabilities?.["token_logprobs"];
    if (!Array.isArray(own) || own.length < ids.length)
      throw new UnsupportedFunctionalityError({
        functionality: "echo with logprobs",
        message: `expected the probabilities of the prompt's ${ids.length} tokens, got ${Array.isArray(own) ? own.length : "none"}: this server leaves them out. ${whoCan}`,
      });
    if (own[0] !== null || own.length > ids.length + 1)
      throw new UnsupportedFunctionalityError({
        functionality: "echo with logprobs",
        message: `expected a probability for each of the prompt's ${ids.length} tokens but the first, and at most one more, got ${own.length} that begin with ${JSON.stringify(own[0])}: this server counts them otherwise`,
      });
    const asWanted = own.slice(start, ids.length) as unknown[];
    if (!asWanted.every((one): one is number => typeof one === "number" && one <= mostProbability))
      throw new Error("expected the logarithm of a probability for each token, got something else"); // perhaps a fault of the moment
    if (asWanted.some((one) => one <= noProbability)) return undefined;
    return { nll: asWanted.reduce((sum, one) => sum - Math.min(one, 0), 0), tokens: asWanted.length };
  }

  /** The tokens to be measured, or why there are none. */
  async function tokensOf(
    asked: MeasureRequest,
    post: Post,
  ): Promise<{ readonly whole: Part; readonly alone?: Part | undefined; readonly isCut: boolean } | string> {
    const { needs, prompt, answer, options = {}, maxLength } = asked;
    const tokenize = async (body: Json): Promise<Tokens> => {
      const reply = await post(`${root}/tokenize`, body).catch((error: unknown) => {
        if (!APICallError.isInstance(error) || ![404, 405, 501].includes(error.statusCode ?? 0)) throw error;
        throw new UnsupportedFunctionalityError({
          functionality: "/tokenize",
          message: `expected ${root}/tokenize, which is not there. ${whoCan}`,
        });
      });
      const { tokens, max_model_len: most } = reply;
      if (!Array.isArray(tokens) || !tokens.every((one): one is number => Number.isInteger(one)))
        throw new UnsupportedFunctionalityError({
          functionality: "/tokenize",
          message: `expected the tokens' numbers from ${root}/tokenize, got something else. ${whoCan}`,
        });
      return { tokens, most: typeof most === "number" && most > 1 ? most - 1 : Infinity }; // one more token is made
    };
    const ofText = (text: string) => tokenize({ prompt: text, add_special_tokens: true });
    const ofChat = (messages: readonly unknown[], more: Json) =>
      tokenize({
        messages: asServersTake(messages as readonly Json[]),
        add_special_tokens: false,
        ...options,
        ...more,
      });
    const before =
      typeof prompt === "string" ? await ofText(prompt) : await ofChat(prompt, { add_generation_prompt: true });
    const start = before.tokens.length;
    const content = typeof answer === "string" ? answer : answer["content"];
    const text = typeof content === "string" ? content : "";
    const whole =
      typeof prompt === "string"
        ? await ofText(prompt + text)
        : await ofChat([...prompt, answer], { add_generation_prompt: false });
    const longest = Math.min(maxLength, whole.most);
    const isCut = whole.tokens.length > longest;
    if (typeof prompt !== "string") {
      const left = await leftOut(asked, post);
      if (left !== undefined) return `the chat template leaves out ${left}`;
    }
    const afterPrompt = { ids: whole.tokens.slice(0, longest), start };
    if (!needs.includes("alone")) return { whole: afterPrompt, isCut };
    // of an answer that is cut after a prompt, the same tokens are measured by themselves
    const { tokens } = text === "" ? { tokens: [] } : await ofText(text);
    return { whole: afterPrompt, alone: { ids: tokens.slice(0, Math.max(longest - start + 1, 1)), start: 1 }, isCut };
  }

  /** A part of a conversation that the server's chat template does not write, found by leaving it out or adding to it; as python/rows.py. */
  async function leftOut({ prompt, answer, options = {} }: MeasureRequest, post: Post): Promise<string | undefined> {
    const messages = [...(prompt as readonly Json[]), answer as Json];
    const last = messages.length - 1;
    const isPlain = messages.length <= 2 && !options["tools"];
    if (isPlain && !messages[last]!["tool_calls"] && !messages[last]!["reasoning_content"]) return undefined;
    const apply = async (said: readonly Json[], more: Json = {}) => {
      const body = { messages: asServersTake(said), add_special_tokens: false, add_generation_prompt: false };
      return JSON.stringify((await post(`${root}/tokenize`, { ...body, ...options, ...more }))["tokens"]);
    };
    const written = await apply(messages);
    const isSame = async (i: number, other: Json) => (await apply(messages.with(i, other))) === written;
    if (options["tools"] && (await apply(messages, { tools: null })) === written) return "the tools that are offered";
    for (const [i, message] of messages.entries()) {
      const content = typeof message["content"] === "string" ? message["content"] : "";
      const mayGo = i < last && content.includes("<think>"); // templates may drop the reasoning of earlier turns
      if (content.trim() !== "" && !mayGo && (await isSame(i, { ...message, content: `${content} x` })))
        return `the text of a turn of the role ${String(message["role"])}`;
      const { tool_calls: calls, ...withoutCalls } = message;
      if (calls && (await isSame(i, withoutCalls))) return "calls of tools";
    }
    const { reasoning_content: reasoning, ...without } = messages[last]!;
    return reasoning && (await isSame(last, without)) ? "the reasoning of the answer" : undefined;
  }

  async function measureReward(asked: MeasureRequest, post: Post): Promise<Measurement> {
    const { prompt, answer, options = {} } = asked;
    const left = await leftOut(asked, post);
    if (left !== undefined) return { problem: `the chat template leaves out ${left}` };
    const body = {
      messages: asServersTake([...(prompt as readonly Json[]), answer as Json]),
      add_generation_prompt: false,
      ...options,
    };
    const raw = { use_activation: false, activation: false }; // the score itself; the name differs between versions
    const classify = async () => firstOf((await post(`${root}/classify`, { ...body, ...raw }))["data"])?.["probs"];
    const pool = async () => firstOf((await post(`${root}/pooling`, { ...body, ...raw }))["data"])?.["data"];
    if (scorer !== undefined) return oneScore(await (scorer === "classify" ? classify() : pool()));
    try {
      const found = oneScore(await classify());
      scorer = "classify";
      return found;
    } catch (error) {
      if (!isNotThere(error)) throw error;
      const pooled = await pool().catch((other: unknown) => {
        if (isNotThere(other)) return undefined;
        throw other;
      }); // of older versions, /classify takes no messages
      if (pooled === undefined) throw error;
      scorer = "pooling";
      return oneScore(pooled);
    }
  }

  function oneScore(found: unknown): Measurement {
    const scores = Array.isArray(found) ? (found.flat() as unknown[]) : [found];
    if (scores.length === 1 && typeof scores[0] === "number" && Number.isFinite(scores[0]))
      return { reward: scores[0], isCut: false };
    throw new UnsupportedFunctionalityError({
      functionality: "/classify",
      message: `expected one score from ${root}/classify, got ${scores.length === 1 ? "none" : scores.length}; is ${model} a reward model with one output?`,
    });
  }
}

function isNotThere(error: unknown): boolean {
  return APICallError.isInstance(error) && [400, 404, 405, 422, 501].includes(error.statusCode ?? 0);
}

/** Messages with the arguments of calls as JSON text: servers parse them for their templates, where Python's take objects. */
function asServersTake(messages: readonly Json[]): Json[] {
  return messages.map((message) => {
    const calls = message["tool_calls"] as readonly { readonly function: Json }[] | undefined;
    if (!calls) return message;
    const toText = (given: unknown) => (typeof given === "string" ? given : JSON.stringify(given));
    return {
      ...message,
      tool_calls: calls.map((call) => ({
        ...call,
        function: { ...call.function, arguments: toText(call.function["arguments"]) },
      })),
    };
  });
}

type Post = (url: string, body: Json) => Promise<Json>;

/** Tokens, and how many of them are only read. */
interface Part {
  readonly ids: readonly number[];
  readonly start: number;
}

interface Tokens {
  readonly tokens: readonly number[];
  readonly most: number;
}

function firstOf(list: unknown): Json | undefined {
  const first: unknown = Array.isArray(list) ? list[0] : undefined;
  return typeof first === "object" && first !== null ? (first as Json) : undefined;
}
