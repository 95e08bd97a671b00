import { APICallError, UnsupportedFunctionalityError } from "@ai-sdk/provider";
import type { LanguageClient } from "./chat-model.ts";
import type { MeasuredSum, Measurement, MeasureRequest } from "./measuring-model.ts";
import { isEntry } from "./entry.ts";
import { ofOneReply } from "./failure.ts";
import type { SendRequest } from "./send-request.ts";
import { createPost, createTextClient } from "./text-client.ts";
import { toServerCall, type ToolCall } from "./tool-call.ts";

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
const mostCertain = 4; // tokens in a row of which no model is certain
const whoCan =
  "vLLM can; llama.cpp and providers cannot: use vLLM, or measure on this machine (a folder or Hub id after the colon)";

export function createMeasuringClient({ baseURL, model, headers, send }: MeasuringOptions): LanguageClient {
  const root = baseURL.replace(/\/v\d+$/, "");
  const postJson = createPost(send, headers, { model });
  let scorer: "classify" | "pooling" | undefined; // which one gives rewards there, once that is known
  return createTextClient(async (text, signal) => {
    const asked = JSON.parse(text) as MeasureRequest; // written by the judge that measures
    let inputTokens = 0;
    let replied: Readonly<Record<string, string>> = {};
    const post: Post = async (url, body) => {
      const { value, headers: said, fail } = await postJson(url, { model, ...body }, signal);
      replied = said;
      const read = isEntry(value) && isEntry(value["usage"]) ? Number(value["usage"]["prompt_tokens"]) : NaN;
      if (asked.needs.includes("reward") && read > 0) inputTokens += read; // the tokens of the others are counted as they are sent
      if (typeof value !== "object" || value === null) throw fail("not JSON");
      return value as Json;
    };
    const found = asked.needs.includes("reward")
      ? await measureReward(asked, post)
      : await measureTokens(asked, post, (tokens) => (inputTokens += tokens));
    return { text: JSON.stringify(found), inputTokens, headers: replied, warnings: [] };
  });

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
      throw lacking(
        "echo with logprobs",
        `expected the probabilities of the prompt's ${ids.length} tokens, got ${Array.isArray(own) ? own.length : "none"}: this server leaves them out. ${whoCan}`,
      );
    if (own[0] !== null || own.length > ids.length + 1)
      throw lacking(
        "echo with logprobs",
        `expected a probability for each of the prompt's ${ids.length} tokens but the first, and at most one more, got ${own.length} that begin with ${JSON.stringify(own[0])}: this server counts them otherwise`,
      );
    const asWanted = own.slice(start, ids.length) as unknown[];
    if (!asWanted.every((one): one is number => typeof one === "number" && one <= mostProbability))
      throw new Error("expected the logarithm of a probability for each token, got something else"); // perhaps a fault of the moment
    if (asWanted.some((one) => one <= noProbability)) return undefined;
    if (asWanted.length >= mostCertain && asWanted.every((one) => one === 0))
      throw lacking(
        "logprobs",
        `expected the probability of each token, got 1 for all ${asWanted.length}: this server makes them up. ${whoCan}`,
      );
    return { nll: asWanted.reduce((sum, one) => sum - Math.min(one, 0), 0), tokens: asWanted.length };
  }

  /** The tokens to be measured, or why there are none. */
  async function tokensOf(
    asked: MeasureRequest,
    post: Post,
  ): Promise<{ readonly whole: Part; readonly alone?: Part | undefined; readonly isCut: boolean } | string> {
    const { needs, prompt, answer, maxLength } = asked;
    const content = typeof answer === "string" ? answer : answer["content"];
    const text = typeof content === "string" ? content : "";
    const [before, whole] =
      typeof prompt === "string"
        ? [await tokenizeText(prompt, post), await tokenizeText(prompt + text, post)]
        : [
            await tokenizeChat(asked, prompt as readonly Json[], post, { add_generation_prompt: true }),
            await tokenizeChat(asked, messagesOf(asked), post),
          ];
    const left = typeof prompt === "string" ? undefined : await leftOut(asked, post, whole);
    if (left !== undefined) return `the chat template leaves out ${left}`;
    const start = before.tokens.length;
    const longest = Math.min(maxLength, whole.most);
    const isCut = whole.tokens.length > longest;
    const afterPrompt = { ids: whole.tokens.slice(0, longest), start };
    if (!needs.includes("alone")) return { whole: afterPrompt, isCut };
    // of an answer that is cut after a prompt, the same tokens are measured by themselves
    const { tokens } = text === "" ? { tokens: [] } : await tokenizeText(text, post);
    return { whole: afterPrompt, alone: { ids: tokens.slice(0, Math.max(longest - start + 1, 1)), start: 1 }, isCut };
  }

  function tokenizeText(text: string, post: Post): Promise<Tokens> {
    return tokenize({ prompt: text, add_special_tokens: true }, post);
  }

  function tokenizeChat(
    { options = {} }: MeasureRequest,
    messages: readonly Json[],
    post: Post,
    more: Json = {},
  ): Promise<Tokens> {
    const body = { messages: asServersTake(messages), add_special_tokens: false, add_generation_prompt: false };
    return tokenize({ ...body, ...options, ...more }, post);
  }

  async function tokenize(body: Json, post: Post): Promise<Tokens> {
    const reply = await post(`${root}/tokenize`, body).catch((error: unknown) => {
      if (!hasStatus(error, notThere)) throw error;
      throw unsupported("/tokenize", `expected ${root}/tokenize, which is not there. ${whoCan}`);
    });
    const { tokens, max_model_len: most } = reply;
    if (!Array.isArray(tokens) || !tokens.every((one): one is number => Number.isInteger(one)))
      throw unsupported(
        "/tokenize",
        `expected the tokens' numbers from ${root}/tokenize, got something else. ${whoCan}`,
      );
    return { tokens, most: typeof most === "number" && most > 1 ? most - 1 : Infinity }; // one more token is made
  }

  /**
   * A part of a conversation that the server's chat template does not write, found by leaving it out or adding to it; what python/rows.py finds
   * in the text.
   *
   * @param whole the conversation's tokens, where they are known
   */
  async function leftOut(asked: MeasureRequest, post: Post, whole?: Tokens): Promise<string | undefined> {
    const { options = {} } = asked;
    const messages = messagesOf(asked);
    const last = messages.length - 1;
    const { tool_calls: lastCalls, reasoning_content: reasoning, ...bare } = messages[last]!;
    if (messages.length <= 2 && !options["tools"] && !lastCalls && !reasoning) return undefined;
    const { tokens: written } = whole ?? (await tokenizeChat(asked, messages, post));
    const isSame = async (other: readonly Json[], more?: Json) =>
      (await tokenizeChat(asked, other, post, more)).tokens.join() === written.join();
    if (options["tools"] && (await isSame(messages, { tools: null }))) return "the tools that are offered";
    for (const [i, message] of messages.entries()) {
      const content = typeof message["content"] === "string" ? message["content"] : "";
      const mayGo = i < last && content.includes("<think>"); // templates may drop the reasoning of earlier turns
      if (content.trim() !== "" && !mayGo && (await isSame(messages.with(i, { ...message, content: `${content} x` }))))
        return `the text of a turn of the role ${String(message["role"])}`;
      const { tool_calls: calls, ...withoutCalls } = message;
      if (calls && (await isSame(messages.with(i, withoutCalls)))) return "calls of tools";
    }
    const without = lastCalls ? { ...bare, tool_calls: lastCalls } : bare;
    return reasoning && (await isSame(messages.with(last, without))) ? "the reasoning of the answer" : undefined;
  }

  async function measureReward(asked: MeasureRequest, post: Post): Promise<Measurement> {
    const left = await leftOut(asked, post);
    if (left !== undefined) return { problem: `the chat template leaves out ${left}` };
    const body = { messages: asServersTake(messagesOf(asked)), add_generation_prompt: false, ...asked.options };
    const raw = { use_activation: false, activation: false }; // the score itself; the name differs between versions
    const classify = async () => firstOf((await post(`${root}/classify`, { ...body, ...raw }))["data"])?.["probs"];
    const pool = async () => firstOf((await post(`${root}/pooling`, { ...body, ...raw }))["data"])?.["data"];
    if (scorer !== undefined) return oneScore(await (scorer === "classify" ? classify() : pool()));
    try {
      const found = oneScore(await classify());
      scorer = "classify";
      return found;
    } catch (error) {
      if (!hasStatus(error, notTaken)) throw error;
      const pooled = await pool().catch((other: unknown) => {
        if (hasStatus(other, notTaken)) return undefined;
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
    throw lacking(
      "/classify",
      `expected one score from ${root}/classify, got ${scores.length === 1 ? "none" : scores.length}; is ${model} a reward model with one output?`,
    );
  }
}

const notThere = [404, 405, 501];
const notTaken = [400, 422, ...notThere];

function hasStatus(error: unknown, statuses: readonly number[]): boolean {
  return APICallError.isInstance(error) && statuses.includes(error.statusCode ?? 0);
}

/** What a reply lacks: where others came, it is this row's own fault, else the server cannot do it. */
function lacking(functionality: string, message: string): UnsupportedFunctionalityError {
  return unsupported(`${ofOneReply}${functionality}`, message);
}

/** An error that stops all calls. */
function unsupported(functionality: string, message: string): UnsupportedFunctionalityError {
  return new UnsupportedFunctionalityError({ functionality, message });
}

/** A conversation's messages, the answer last. */
function messagesOf({ prompt, answer }: MeasureRequest): Json[] {
  return [...(prompt as readonly Json[]), answer as Json]; // a request with a chat template has these
}

function asServersTake(messages: readonly Json[]): Json[] {
  return messages.map((message) => {
    const calls = message["tool_calls"] as readonly ToolCall[] | undefined; // as the data's reader made them
    return calls ? { ...message, tool_calls: calls.map(toServerCall) } : message;
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

/** Number 0 of a list, wherever it stands. */
function firstOf(list: unknown): Json | undefined {
  const entries = Array.isArray(list) ? list.filter(isEntry) : [];
  return entries.find(({ index }) => index === 0) ?? entries[0];
}
