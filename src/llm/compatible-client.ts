import { APICallError, type LanguageModelV4CallOptions, type LanguageModelV4GenerateResult } from "@ai-sdk/provider";
import { version } from "../version.ts";
import { readBody, readCompletion, readError, type ReadBody } from "./chat-reply.ts";
import { adapt, chatBody, findAdaptation, type Adaptation, type ChatBody } from "./chat-request.ts";
import type { LanguageClient } from "./chat-model.ts";
import type { HttpReply, SendRequest } from "./send-request.ts";

/*
 * A client for servers with OpenAI's protocol: vLLM, llama.cpp, Ollama, LiteLLM and others. It reads the part of a reply that is
 * used, once, where the AI SDK's client checks all of it by schema (`npm run bench -- calls` sets both side by side).
 */

export interface CompatibleClient extends LanguageClient {
  /** What is sent otherwise than the rubric says, a line each. */
  readonly notes: () => readonly string[];
}

export interface CompatibleClientOptions {
  /** The server's address without a trailing slash: `http://127.0.0.1:8000/v1`. */
  readonly baseURL: string;
  readonly model: string;
  /** Sent with every request, such as `authorization`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly send: SendRequest;
}

export function createCompatibleClient({
  baseURL,
  model,
  headers: given,
  send,
}: CompatibleClientOptions): CompatibleClient {
  const url = `${baseURL}/chat/completions`;
  const headers: Record<string, string> = {
    "content-type": "application/json",
    "user-agent": `alpagasus/${version}`,
    ...given,
  };
  const kept = new Set<Adaptation>();
  return {
    notes: () => [...kept].map(({ note }) => note),
    async doGenerate(options: LanguageModelV4CallOptions) {
      const asked = chatBody(model, options);
      const post = async (ways: Iterable<Adaptation>) => {
        const body = adapt(asked, ways);
        const reply = await send(url, {
          method: "POST",
          headers,
          body: JSON.stringify(body),
          signal: options.abortSignal,
        });
        return { body, reply, read: readBody(reply) };
      };
      const ways = new Set(kept);
      const first = await post(ways);
      for (let last = first; last.reply.status === 400 || last.reply.status === 422;) {
        const other = findAdaptation(last.body, last.read.text, ways);
        if (!other) break;
        ways.add(other);
        last = await post(ways);
        if (last.reply.status === 400 || last.reply.status === 422) continue;
        if (last.reply.status >= 300) return readResult(last); // of its own: the way may yet be right
        for (const way of ways) kept.add(way);
        return readResult(last);
      }
      return readResult(first);
    },
  };

  function readResult({
    body,
    reply,
    read,
  }: {
    readonly body: ChatBody;
    readonly reply: HttpReply;
    readonly read: ReadBody;
  }): LanguageModelV4GenerateResult {
    const fail = (statusCode: number, message: string) =>
      new APICallError({
        message,
        url,
        requestBodyValues: body,
        statusCode,
        responseHeaders: reply.headers,
        responseBody: read.text,
        isRetryable: false, // the engine decides that
      });
    const error = readError(read, reply.status);
    if (error) throw fail(error.status, error.message);
    const result = readCompletion(read.value);
    if (typeof result === "string") throw fail(reply.status, result);
    return { ...result, response: { ...result.response, headers: reply.headers } };
  }
}
