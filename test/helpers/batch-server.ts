import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { scoreOf } from "./model-server.ts";

/*
 * A server on 127.0.0.1 that speaks the batch protocols of OpenAI (files and batches of the responses interface) and
 * Anthropic (message batches), and direct calls of both. It knows what it would bill, and misbehaves as told.
 */

/** What becomes of one call of a batch. */
export type Fate =
  | { readonly kind: "reply"; readonly text: string; readonly logprobs?: unknown; readonly body?: unknown }
  | { readonly kind: "expired" | "cancelled" | "missing" }
  | { readonly kind: "failed"; readonly status: number; readonly message: string; readonly code?: string };

/** A call as it was handed in. */
interface Call {
  readonly id: string;
  readonly user: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** How often it was handed in before. */
  readonly before: number;
}

/** The steps of a client's work, in the order in which it takes them. */
export const steps = [
  "file arrived",
  "file answered",
  "batch arrived",
  "batch made", // and not answered yet
  "batch answered",
  "status asked",
  "results asked",
  "results half sent",
  "results sent",
  "list asked",
] as const;
type Step = (typeof steps)[number];

export interface BatchServerOptions {
  readonly fate?: (call: Call) => Fate;
  /** How long a batch takes. */
  readonly workMs?: number;
  /** Told of every step before it is done; what it gives is done instead of answering. */
  readonly onStep?: (step: Step) => "reset" | { readonly status: number; readonly message: string } | undefined;
  /** How a whole batch fails, by its number of calls. */
  readonly refuse?: (calls: number) => { readonly code: string; readonly message: string } | undefined;
}

interface Batch {
  readonly id: string;
  readonly protocol: "openai" | "anthropic";
  readonly calls: readonly Call[];
  readonly fates: readonly Fate[];
  readonly createdAt: number;
  readonly failure?: { readonly code: string; readonly message: string };
  status: "working" | "ended" | "cancelled";
}

export interface BatchServer extends AsyncDisposable {
  readonly origin: string;
  readonly environment: Record<string, string>;
  readonly batches: Batch[];
  /** How often each call was answered, and so billed, by batches and directly. */
  readonly billed: Map<string, number>;
  readonly direct: { count: number };
  readonly seen: Step[];
}

export async function startBatchServer(options: BatchServerOptions = {}): Promise<BatchServer> {
  const files = new Map<string, string>();
  const batches: Batch[] = [];
  const billed = new Map<string, number>();
  const handed = new Map<string, number>();
  const direct = { count: 0 };
  const seen: Step[] = [];
  let next = 1;
  let origin = "";

  const isEnded = (batch: Batch) => {
    if (batch.status === "working" && Date.now() - batch.createdAt >= (options.workMs ?? 0)) end(batch);
    return batch.status !== "working";
  };
  const end = (batch: Batch) => {
    batch.status = "ended";
    if (batch.failure) return;
    for (const [i, fate] of batch.fates.entries()) if (fate.kind === "reply") bill(batch.calls[i]!.user);
  };
  const bill = (user: string) => billed.set(user, (billed.get(user) ?? 0) + 1);
  const make = (protocol: Batch["protocol"], asked: readonly { id: string; user: string; body: Call["body"] }[]) => {
    const calls = asked.map((call) => {
      const before = handed.get(call.user) ?? 0;
      handed.set(call.user, before + 1);
      return { ...call, before };
    });
    const failure = options.refuse?.(calls.length);
    const batch: Batch = {
      id: `${protocol === "openai" ? "batch" : "msgbatch"}_${next++}`,
      protocol,
      calls,
      fates: calls.map((call) => options.fate?.(call) ?? { kind: "reply", text: scoreOf(call) }),
      createdAt: Date.now(),
      ...(failure && { failure }),
      status: "working",
    };
    batches.unshift(batch);
    return batch;
  };

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer); // no encoding is set
    const bytes = Buffer.concat(chunks);
    const url = new URL(request.url ?? "", "http://127.0.0.1");
    const path = url.pathname.replace(/^\/v1/, "");
    const route = `${request.method} ${path}`;
    /** Tells of a step; false when something else was done instead. */
    const step = (name: Step): boolean => {
      seen.push(name);
      const instead = options.onStep?.(name);
      if (instead === undefined) return true;
      if (instead === "reset") response.socket?.resetAndDestroy();
      else if (!response.headersSent)
        send(response, { error: { message: instead.message, type: "server_error" } }, instead.status);
      return false;
    };
    const json = () => JSON.parse(bytes.toString("utf8")) as Record<string, unknown>; // sent by the AI SDK

    if (route === "POST /files") {
      if (!step("file arrived")) return;
      const form = await new Response(bytes, {
        headers: { "content-type": String(request.headers["content-type"]) },
      }).formData();
      const id = `file_${next++}`;
      files.set(id, await (form.get("file") as File).text());
      send(response, { id, object: "file", bytes: 1, created_at: 1, filename: "batch.jsonl", purpose: "batch" });
      step("file answered");
      return;
    }
    if (route === "POST /batches" || route === "POST /messages/batches") {
      if (!step("batch arrived")) return;
      const protocol = path === "/batches" ? "openai" : "anthropic";
      const batch = make(
        protocol,
        protocol === "openai" ? readLines(files.get(String(json()["input_file_id"]))!) : readRequests(json()),
      );
      if (!step("batch made")) return;
      send(response, describe(batch, isEnded(batch)));
      step("batch answered");
      return;
    }
    if (route === "GET /batches" || route === "GET /messages/batches") {
      if (!step("list asked")) return;
      const own = batches.filter(({ protocol }) => (path === "/batches" ? "openai" : "anthropic") === protocol);
      const after = url.searchParams.get("after") ?? url.searchParams.get("after_id");
      const from = after === null ? 0 : own.findIndex(({ id }) => id === after) + 1;
      const limit = Number(url.searchParams.get("limit") ?? 20);
      const page = own.slice(from, from + limit);
      send(response, {
        data: page.map((batch) => describe(batch, isEnded(batch))),
        has_more: from + limit < own.length,
        last_id: page.at(-1)?.id ?? null,
      });
      return;
    }
    const [, cancelled] = /^POST .*\/batches\/([^/]+)\/cancel$/.exec(route) ?? [];
    if (cancelled !== undefined) {
      const batch = batches.find(({ id }) => id === cancelled)!;
      if (!isEnded(batch)) batch.status = "cancelled";
      send(response, describe(batch, true));
      return;
    }
    const [, results] = /^GET \/(?:files\/(.+)\/content|messages\/batches\/(.+)\/results)$/.exec(route) ?? [];
    const resultsOf = /^GET \/messages\/batches\/(.+)\/results$/.exec(route)?.[1] ?? results?.replace(/^out_/, "");
    if (resultsOf !== undefined) {
      if (!step("results asked")) return;
      const batch = batches.find(({ id }) => id === resultsOf)!;
      const lines = batch.calls.flatMap((call, i) => line(batch, call, batch.fates[i]!));
      const body = lines.map((one) => `${JSON.stringify(one)}\n`).join("");
      response.writeHead(200, { "content-type": "application/jsonl" });
      response.write(body.slice(0, body.length / 2));
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (!step("results half sent")) return;
      response.end(body.slice(body.length / 2));
      step("results sent");
      return;
    }
    const [, asked] = /^GET \/(?:messages\/)?batches\/([^/]+)$/.exec(route) ?? [];
    if (asked !== undefined) {
      if (!step("status asked")) return;
      const batch = batches.find(({ id }) => id === asked);
      if (!batch) return send(response, { error: { message: `No batch ${asked}`, type: "not_found_error" } }, 404);
      send(response, describe(batch, isEnded(batch)));
      return;
    }
    if (route === "POST /chat/completions" || route === "POST /messages") {
      direct.count++;
      const user = textOf((json()["messages"] as Said[]).findLast(({ role }) => role === "user")!.content);
      bill(user);
      const text = scoreOf({ user });
      send(
        response,
        path === "/messages"
          ? message(text)
          : {
              id: "chatcmpl-1",
              object: "chat.completion",
              created: 1,
              model: "test",
              choices: [{ index: 0, message: { role: "assistant", content: text }, finish_reason: "stop" }],
              usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
            },
      );
      return;
    }
    send(response, { error: { message: `no ${route}`, type: "not_found_error" } }, 404);
  };
  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy()); // the client has gone
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    environment: {
      OPENAI_API_KEY: "sk-test-openai-secret",
      OPENAI_BASE_URL: `${origin}/v1`,
      ANTHROPIC_API_KEY: "sk-test-anthropic-secret",
      ANTHROPIC_BASE_URL: `${origin}/v1`,
    },
    batches,
    billed,
    direct,
    seen,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function send(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

interface Said {
  readonly role?: string;
  readonly content?: string | readonly { readonly text?: string }[];
}

function textOf(content: Said["content"]): string {
  return typeof content === "string" ? content : (content ?? []).map(({ text }) => text ?? "").join("");
}

function lastUser(messages: readonly Said[]): string {
  return textOf(messages.findLast(({ role }) => role === "user")?.content);
}

/** OpenAI: a file with a line a call. */
function readLines(text: string) {
  return text
    .trim()
    .split("\n")
    .map((one) => {
      const { custom_id: id, body } = JSON.parse(one) as { custom_id: string; body: { input: Said[] } & Call["body"] };
      return { id, user: lastUser(body.input), body };
    });
}

/** Anthropic: all in the request. */
function readRequests(body: Record<string, unknown>) {
  return (body["requests"] as { custom_id: string; params: { messages: Said[] } & Call["body"] }[]).map(
    ({ custom_id: id, params }) => ({
      id,
      user: lastUser(params.messages),
      body: params,
    }),
  );
}

function describe(batch: Batch, isEnded: boolean): unknown {
  const count = (kind: Fate["kind"]) => batch.fates.filter((fate) => fate.kind === kind).length;
  const total = batch.calls.length;
  if (batch.protocol === "anthropic")
    return {
      id: batch.id,
      type: "message_batch",
      processing_status: isEnded ? "ended" : "in_progress",
      request_counts: {
        processing: isEnded ? 0 : total,
        succeeded: isEnded ? count("reply") : 0,
        errored: isEnded ? count("failed") : 0,
        canceled: isEnded ? count("cancelled") : 0,
        expired: isEnded ? count("expired") + count("missing") : 0,
      },
      created_at: new Date(batch.createdAt).toISOString(),
      expires_at: new Date(batch.createdAt + 86_400_000).toISOString(),
      results_url: isEnded ? `https://provider.invalid/v1/messages/batches/${batch.id}/results` : null, // as behind a gateway
    };
  const hasExpired = count("expired") > 0;
  const status = !isEnded
    ? "in_progress"
    : batch.failure
      ? "failed"
      : batch.status === "cancelled"
        ? "cancelled"
        : hasExpired
          ? "expired"
          : "completed";
  return {
    id: batch.id,
    object: "batch",
    status,
    output_file_id: isEnded && !batch.failure ? `out_${batch.id}` : null,
    error_file_id: null,
    created_at: Math.floor(batch.createdAt / 1000),
    request_counts: {
      total: batch.failure ? 0 : total,
      completed: isEnded ? count("reply") : 0,
      failed: isEnded ? total - count("reply") : 0,
    },
    ...(batch.failure && isEnded && { errors: { data: [batch.failure] } }),
  };
}

/** A call's line in the results; those that are missing have none. */
function line({ protocol, status }: Batch, call: Call, fate: Fate): unknown[] {
  const { id } = call;
  if (fate.kind === "missing") return [];
  if (status === "cancelled")
    return [
      protocol === "openai"
        ? { custom_id: id, error: { code: "batch_cancelled", message: "cancelled" } }
        : { custom_id: id, result: { type: "canceled" } },
    ];
  if (protocol === "anthropic") {
    if (fate.kind === "reply")
      return [{ custom_id: id, result: { type: "succeeded", message: fate.body ?? message(fate.text) } }];
    if (fate.kind === "failed")
      return [
        {
          custom_id: id,
          result: {
            type: "errored",
            error: { type: "error", error: { type: fate.code ?? "api_error", message: fate.message } },
          },
        },
      ];
    return [{ custom_id: id, result: { type: fate.kind === "expired" ? "expired" : "canceled" } }];
  }
  if (fate.kind === "expired")
    return [
      { custom_id: id, error: { code: "batch_expired", message: "This request could not be executed in time." } },
    ];
  if (fate.kind !== "reply" && fate.kind !== "failed")
    return [{ custom_id: id, error: { code: "batch_cancelled", message: "cancelled" } }];
  if (fate.kind === "failed")
    return [
      {
        custom_id: id,
        response: {
          status_code: fate.status,
          body: { error: { message: fate.message, type: "server_error", param: null, code: fate.code ?? null } },
        },
      },
    ];
  return [{ custom_id: id, response: { status_code: 200, body: fate.body ?? responseOf(fate.text, fate.logprobs) } }];
}

/** A reply of OpenAI's Responses API. */
export function responseOf(text: string, logprobs?: unknown): Record<string, unknown> {
  return {
    id: "resp_1",
    object: "response",
    created_at: 1,
    model: "test-2026",
    status: "completed",
    output: [said(text, logprobs)],
    usage: { input_tokens: 10, output_tokens: 5, total_tokens: 15 },
  };
}

/** A message in such a reply. */
export function said(text: string, logprobs?: unknown): Record<string, unknown> {
  return {
    type: "message",
    id: "msg_1",
    role: "assistant",
    status: "completed",
    content: [{ type: "output_text", text, annotations: [], ...(logprobs !== undefined && { logprobs }) }],
  };
}

/** A reply of Anthropic's. */
export function message(text: string): Record<string, unknown> {
  return {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "test",
    content: [{ type: "text", text }],
    stop_reason: "end_turn",
    stop_sequence: null,
    usage: { input_tokens: 10, output_tokens: 5 },
  };
}
