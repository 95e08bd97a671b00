import type { LanguageModelV4GenerateResult } from "@ai-sdk/provider";
import { tryParse } from "../../files/try-parse.ts";
import { isEntry } from "../entry.ts";
import { readProviderReply } from "../provider-reply.ts";
import type { Fetch } from "../pooled-fetch.ts";
import { shownOfLine } from "./policy.ts";

/*
 * Wraps the requests of the AI SDK's batch clients to add what they lack: our mark in the provider's batch, the provider's clock,
 * and results that stay usable when one line cannot be read.
 */

export type BatchProtocol = "openai" | "anthropic" | "google";

export interface BatchTransport {
  readonly fetch: Fetch;
  /** Header with the mark, which is our id of the batch. The mark goes into the batch; the header is not sent. */
  readonly markHeader: string;
  /**
   * The mark in a provider's batch (see `isMarkOf`); null when it has shown none, undefined when the batch was not seen. At
   * Anthropic, only results show marks.
   */
  markOf(batchId: string): string | null | undefined;
  /** Whether the provider's list of batches shows marks, if the provider keeps them. */
  readonly listsMarks: boolean;
  /** The provider's clock at its last reply, in milliseconds since 1970; undefined when no reply had a date. */
  providerNow(): number | undefined;
  /** By mark: called right before the request that creates the batch is sent. */
  readonly onSend: Map<string, () => void>;
  /** The provider's reply in a row of the results that were fetched last; undefined where the row has none. */
  replyOf(key: string): RawReply | undefined;
  /** Forgets the rows that were fetched before. */
  forgetRows(): void;
}

/** A reply as it came, and as its provider's protocol reads it, if it does. */
export interface RawReply {
  readonly body: unknown;
  readonly result: LanguageModelV4GenerateResult | undefined;
}

/** Whether a mark belongs to our batch with this id. */
export function isMarkOf(mark: string, id: string): boolean {
  return mark === id || mark === shorten(id);
}

/** The part of our id that fits into an Anthropic call id (64 characters) after the call's key and a hyphen. */
function shorten(id: string): string {
  return id.replaceAll("-", "").slice(0, 24);
}

const markedKey = /^([0-9a-f]{32})-([0-9a-f]{24})$/;
const markName = "alpagasus";
const markHeader = "x-alpagasus-batch";

/** @param fetch sends the requests */
export function createBatchTransport(fetch: Fetch, protocol: BatchProtocol): BatchTransport {
  const marks = new Map<string, string | null>();
  const rows = new Map<string, string>();
  let now: number | undefined;
  const transport: BatchTransport = {
    markHeader,
    markOf: (batchId) => marks.get(batchId),
    listsMarks: protocol !== "anthropic",
    providerNow: () => now,
    onSend: new Map(),
    replyOf(key) {
      const body = replyIn(tryParse(rows.get(key) ?? ""), protocol);
      return body == null ? undefined : { body, result: readProviderReply(protocol, body) };
    },
    forgetRows: () => rows.clear(),
    async fetch(input, init) {
      const url = typeof input === "object" && "url" in input ? input.url : String(input);
      const { pathname } = new URL(url);
      const { [markHeader]: mark, ...headers } = (init?.headers ?? {}) as Record<string, string>; // the AI SDK gives a plain object
      const isPost = init?.method === "POST";
      const isStart = isPost && /(\/batches|:batchGenerateContent)$/.test(pathname);
      const body = mark === undefined ? init?.body : markBody(init?.body, mark, isStart ? protocol : undefined);
      if (isStart && mark !== undefined) transport.onSend.get(mark)?.();
      const response = await fetch(input, { ...init, headers, ...(body !== undefined && { body }) });
      const told = Date.parse(response.headers.get("date") ?? "");
      if (!Number.isNaN(told)) now = told;
      if (isPost || !response.ok) return response;
      if (/\/files\/[^/]+\/content$|\/results$|:download$/.test(pathname))
        return readLines(response, protocol, rows, (found) => {
          const [, id] = /\/batches\/([^/]+)\/results$/.exec(pathname) ?? [];
          if (id !== undefined) marks.set(id, found);
        });
      if (!/\/batches(\/[^/]+)?$/.test(pathname)) return response;
      return noteBatches(protocol === "anthropic" ? await withOwnResults(response, url) : response, marks, rows);
    },
  };
  return transport;
}

/** The reply in a row of results, which is what the same call gets when it is asked directly; undefined where there is none. */
function replyIn(row: unknown, protocol: BatchProtocol): unknown {
  if (!isEntry(row)) return undefined;
  const { response, result } = row;
  if (protocol === "anthropic")
    return isEntry(result) && result["type"] === "succeeded" ? result["message"] : undefined;
  if (protocol === "google") return response;
  return isEntry(response) && String(response["status_code"]).startsWith("2") ? response["body"] : undefined;
}

/** Puts a mark into the body that creates a batch, or into the name of the file uploaded for it. */
function markBody(
  body: RequestInit["body"] | undefined,
  mark: string,
  protocol: BatchProtocol | undefined,
): RequestInit["body"] {
  if (body instanceof FormData) {
    const file = body.get("file");
    if (!(file instanceof Blob)) return body;
    const marked = new FormData();
    for (const [name, value] of body.entries())
      if (value instanceof Blob) marked.append(name, value, `${markName}-${mark}.jsonl`);
      else marked.append(name, value);
    return marked;
  }
  if (typeof body !== "string" || protocol === undefined) return body ?? null;
  const sent = JSON.parse(body) as { batch?: object; requests?: readonly { custom_id: string }[] }; // as the AI SDK has just written it
  if (protocol === "anthropic") {
    const requests = sent.requests?.map((one) => ({ ...one, custom_id: `${one.custom_id}-${shorten(mark)}` }));
    return JSON.stringify({ ...sent, requests });
  }
  return JSON.stringify(
    protocol === "openai"
      ? { ...sent, metadata: { [markName]: mark } }
      : { ...sent, batch: { ...sent.batch, displayName: `${markName}-${mark}` } },
  );
}

/**
 * A batch of Anthropic's whose results are where it was asked for: behind a gateway it names the provider's own address, to which neither the
 * gateway's key nor, from everywhere, a way leads.
 */
async function withOwnResults(response: Response, url: string): Promise<Response> {
  const text = await response.clone().text();
  const body = tryParse(text);
  const { results_url: given } = (typeof body === "object" && body !== null ? body : {}) as { results_url?: unknown };
  if (typeof given !== "string" || !/\/batches\/[^/]+$/.test(new URL(url).pathname)) return response;
  return new Response(JSON.stringify({ ...(body as object), results_url: `${url.replace(/[?#].*$/, "")}/results` }), {
    status: response.status,
    headers: { "content-type": "application/json" },
  });
}

interface Described {
  readonly id?: unknown;
  readonly name?: unknown;
  readonly metadata?: { readonly [markName]?: unknown; readonly displayName?: unknown } | null | undefined;
}

/** Records the marks of the batches that a reply describes, and repairs results embedded in it. */
async function noteBatches(
  response: Response,
  marks: Map<string, string | null>,
  rows: Map<string, string>,
): Promise<Response> {
  const text = await response.clone().text();
  let body: Described & { data?: unknown; operations?: unknown };
  try {
    body = JSON.parse(text) as typeof body;
  } catch {
    return response; // the caller reports it
  }
  const all = [
    body,
    ...(Array.isArray(body.data) ? body.data : []),
    ...(Array.isArray(body.operations) ? body.operations : []),
  ];
  for (const one of all as readonly (Described | null)[]) {
    const id = one?.id ?? one?.name;
    if (typeof id !== "string") continue;
    const { [markName]: own, displayName } = one?.metadata ?? {};
    const named = typeof displayName === "string" ? new RegExp(`^${markName}-(.+)$`).exec(displayName)?.[1] : undefined;
    const mark = typeof own === "string" ? own : named;
    if (mark !== undefined || !marks.has(id)) marks.set(id, mark ?? null);
  }
  const isOne = body.data === undefined && body.operations === undefined; // lists are of other batches too
  return mendInline(response, text, all, isOne ? rows : new Map());
}

interface InlineRows {
  readonly inlinedResponses?: { readonly inlinedResponses?: unknown } | undefined;
}

/** Google embeds small results in the batch's description. A row without a key would make all unreadable: it is replaced. */
function mendInline(response: Response, text: string, all: readonly unknown[], rows: Map<string, string>): Response {
  let isMended = false;
  for (const one of all as readonly { metadata?: { output?: InlineRows }; response?: InlineRows }[])
    for (const inline of [one?.metadata?.output?.inlinedResponses, one?.response?.inlinedResponses]) {
      const list = inline?.inlinedResponses;
      if (!inline || !Array.isArray(list)) continue;
      for (const [i, row] of (list as { metadata?: { key?: unknown } }[]).entries()) {
        const key = row?.metadata?.key;
        if (typeof key === "string") {
          rows.set(key, JSON.stringify(row));
          continue;
        }
        list[i] = { metadata: { key: `unreadable-${i}` }, error: unreadable(JSON.stringify(row)) };
        isMended = true;
      }
    }
  return isMended
    ? new Response(JSON.stringify(all[0]), { headers: jsonHeaders(response) })
    : new Response(text, { headers: jsonHeaders(response) });
}

function jsonHeaders(response: Response): Record<string, string> {
  const date = response.headers.get("date");
  return { "content-type": "application/json", ...(date !== null && { date }) };
}

function unreadable(line: string): { code: string; message: string } {
  return {
    code: "unreadable_line",
    message: `its result cannot be read: ${line.length > shownOfLine ? `${line.slice(0, shownOfLine)}…` : line}`,
  };
}

/** Replaces each unreadable line with an error row, so that only its own row is lost, and turns call ids back into keys. */
async function readLines(
  response: Response,
  protocol: BatchProtocol,
  rows: Map<string, string>,
  onMark: (mark: string) => void,
): Promise<Response> {
  const text = await response.clone().text();
  const lines = text.split("\n");
  let isChanged = false;
  for (const [i, line] of lines.entries()) {
    if (line.trim() === "") continue;
    const row = readLine(line, protocol);
    const [, told] = row ? [] : (/"(?:custom_id|key)"\s*:\s*"([^"\\]{1,200})"/.exec(line) ?? []);
    const [, key, mark] = markedKey.exec(row?.custom_id ?? told ?? "") ?? [];
    if (mark !== undefined) onMark(mark);
    const id = key ?? row?.custom_id ?? row?.key;
    if (row && id !== undefined) rows.set(id, line);
    if (row && key === undefined) continue;
    lines[i] = JSON.stringify(
      row
        ? { ...row, custom_id: key }
        : writeError(key ?? told ?? `unreadable-${i}`, unreadable(line.trim()), protocol),
    );
    isChanged = true;
  }
  return isChanged ? new Response(lines.join("\n"), { headers: { "content-type": "application/jsonl" } }) : response;
}

/** Parses a line of results; undefined when it cannot be read. */
function readLine(
  line: string,
  protocol: BatchProtocol,
): { readonly custom_id?: string; readonly key?: string } | undefined {
  try {
    const row = JSON.parse(line) as { custom_id?: string; key?: string } | null;
    return row !== null && typeof row === "object" && isReadable(row, protocol) ? row : undefined;
  } catch {
    return undefined;
  }
}

function isReadable(
  row: { custom_id?: unknown; key?: unknown; response?: unknown; error?: unknown },
  protocol: BatchProtocol,
): boolean {
  if (protocol === "google")
    return typeof row.key === "string" && isAbsentOr(row.error, (error) => typeof error === "object");
  if (typeof row.custom_id !== "string") return false;
  if (protocol === "anthropic") return true;
  const hasText = (value: unknown, ...names: string[]) =>
    typeof value === "object" &&
    value !== null &&
    names.every((name) => typeof (value as Record<string, unknown>)[name] === "string");
  return (
    isAbsentOr(row.error, (error) => hasText(error, "code", "message")) &&
    isAbsentOr(row.response, (reply) => typeof (reply as { status_code?: unknown }).status_code === "number")
  );
}

function isAbsentOr(value: unknown, is: (value: object) => boolean): boolean {
  return value === null || value === undefined || (typeof value === "object" && is(value));
}

/** An error row in the provider's format. */
function writeError(id: string, error: { code: string; message: string }, protocol: BatchProtocol): object {
  if (protocol === "openai") return { custom_id: id, error };
  if (protocol === "google") return { key: id, error: { status: error.code, message: error.message } };
  return {
    custom_id: id,
    result: { type: "errored", error: { type: "error", error: { type: error.code, message: error.message } } },
  };
}
