import { APICallError, type SharedV4Warning } from "@ai-sdk/provider";
import { version } from "../version.ts";
import type { LanguageClient } from "./chat-model.ts";
import { readBody, readError } from "./chat-reply.ts";
import type { SendRequest } from "./send-request.ts";

/*
 * Clients for what is no chat: a text in, what was found out, as a text. So the engine calls models that make vectors, or that measure rows, as
 * any other.
 */

/** In a reply's usage: that its text is no model's, so that no tokens were written. */
export const writesNothing = "writes_nothing";

/** What was found for a text. */
export interface TextReply {
  readonly text: string;
  /** Tokens that were read; undefined where the server does not say. */
  readonly inputTokens: number | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly warnings: SharedV4Warning[];
}

/** A client of the engine that gives the last message's text to `reply`. */
export function createTextClient(
  reply: (text: string, signal: AbortSignal | undefined) => Promise<TextReply>,
): LanguageClient {
  return {
    async doGenerate({ prompt, abortSignal }) {
      const last = prompt.at(-1)?.content;
      const asked =
        typeof last === "string" ? last : (last ?? []).map((part) => ("text" in part ? part.text : "")).join("");
      const { text, inputTokens, headers, warnings } = await reply(asked, abortSignal);
      return {
        content: [{ type: "text", text }],
        finishReason: { unified: "stop", raw: undefined },
        usage: {
          inputTokens: { total: inputTokens, noCache: inputTokens, cacheRead: undefined, cacheWrite: undefined },
          outputTokens: { total: inputTokens === undefined ? undefined : 0, text: undefined, reasoning: undefined },
          raw: { [writesNothing]: true },
        },
        warnings,
        response: { headers },
      };
    },
  };
}

/** A reply of a server: its JSON, its headers, and the error that says what is wrong with it. */
interface ServerReply {
  readonly value: unknown;
  readonly headers: Record<string, string>;
  readonly fail: (message: string) => APICallError;
}

export type PostJson = (
  url: string,
  body: Readonly<Record<string, unknown>>,
  signal?: AbortSignal,
) => Promise<ServerReply>;

/**
 * Sends JSON to a server of OpenAI's protocol.
 *
 * @param told what errors may tell of the request
 * @throws APICallError when it answers with an error
 */
export function createPost(
  send: SendRequest,
  given: Readonly<Record<string, string>>,
  told: Readonly<Record<string, unknown>>,
): PostJson {
  const headers = { "content-type": "application/json", "user-agent": `alpagasus/${version}`, ...given };
  return async (url, body, signal) => {
    const reply = await send(url, { method: "POST", headers, body: JSON.stringify(body), signal });
    const read = readBody(reply);
    const fail = (statusCode: number, message: string) =>
      new APICallError({
        message,
        url,
        requestBodyValues: told,
        statusCode,
        responseHeaders: reply.headers,
        responseBody: read.text.slice(0, 4000),
        isRetryable: false, // the engine decides that
      });
    const error = readError(read, reply.status);
    if (error) throw fail(error.status, error.message);
    return { value: read.value, headers: reply.headers, fail: (message) => fail(reply.status, message) };
  };
}
