import { APICallError, UnsupportedFunctionalityError } from "@ai-sdk/provider";
import { messageOf } from "../errors.ts";
import { readRetryAfter, type Headers } from "./headers.ts";
import { largestReply } from "./reply-limit.ts";
import { tellsNoMoney } from "./no-money.ts";
import { ProxyError } from "./send-request.ts";

/**
 * What an attempt's failure means for its call.
 *
 * - `retry`: another attempt may succeed. `isCongestion`: the provider is overloaded. `isUnreachable`: no server was reached, so
 *   nothing can have been paid. `mayBePaid`, of any: a reply may have been generated and billed, but was not received.
 * - `state`: this call gets no reply, but others may.
 * - `doubtful`: the provider rejects this request. If it rejects all others too, the requests are wrong in general.
 * - `stop`: no call will get a reply. With `isRowPossible`, and after other calls were answered, only this one may be wrong.
 */
export type Failure =
  | {
      readonly kind: "retry";
      readonly detail: string;
      readonly retryAfterMs?: number | undefined;
      readonly isCongestion: boolean;
      readonly isUnreachable: boolean;
      readonly mayBePaid: boolean;
      /** Whether no reply came in time: the provider may have too much to do. */
      readonly isLate?: boolean;
    }
  | {
      readonly kind: "state";
      readonly state: "refused" | "failed";
      readonly detail: string;
      readonly mayBePaid?: boolean;
    }
  | { readonly kind: "doubtful"; readonly detail: string; readonly mayBePaid?: boolean }
  | {
      readonly kind: "stop";
      readonly mayBePaid?: boolean;
      readonly detail: string;
      readonly isUsage: boolean;
      /** Whether only this call may be wrong, if others were answered. */
      readonly isRowPossible?: boolean | undefined;
      /** Whether a page came in place of an answer: after other answers, the server may be at rest for a while. */
      readonly isPage?: boolean | undefined;
      readonly isKeyRefused?: boolean;
    };

/** How the functionality begins that one reply lacked: others of the same server may have it. */
export const ofOneReply = "in one reply: ";

/** Name of the error that aborts an attempt at its time limit. */
export const timedOut = "AttemptTimedOut";

const tooLong =
  /context.?(length|window|size)|maximum context|too (long|large)|too many tokens|(token|length|context|character|input|prompt|sequence|text|content|message|byte|size)s?\b.{0,80}exceeds? the (limit|maxim)|exceeds? the (limit|maxim).{0,40}\b(tokens?|length|context|characters|size|bytes)\b/i;
const notOfText =
  /\bnumber of (images|files|requests|calls)\b|\b(images?|spend\w*)\b.{0,60}exceeds? the (limit|maxim)/i;
const filtered = /content.?(filter|policy|management)|safety|flagged|prohibited/i;
/** Statuses of a refused account, beside 402; others are about a request, and may repeat a row's text. */
const mayBeMoney: ReadonlySet<number> = new Set([400, 403, 412, 429]);
const gatewayStatuses: ReadonlySet<number> = new Set([408, 504, 524]);
const dailyLimit = /per[- _]day|daily/i;
const dailyQuota = /"quotaId"\s*:\s*"[^"]{0,100}PerDay/; // Google's
const longestDetail = 300;

/**
 * Classifies the error of an attempt. Statuses follow RFC 9110; error codes in bodies are those of OpenAI, Anthropic, Google
 * and servers with OpenAI's protocol.
 *
 * @param redact removes keys from what was said, before it is cut
 */
export function readFailure(error: unknown, now: number, redact: (text: string) => string = (text) => text): Failure {
  if (error instanceof Error && error.name === timedOut) return { ...lost(error.message), isLate: true };
  if (!APICallError.isInstance(error)) return readOther(error, redact);
  const status = error.statusCode;
  if (status === undefined) return readUnreached(error);
  const failure = readRefusal(error, status, now, redact);
  // errors are free, but one beside a text or its tokens was made
  return tellsOfReply(error.responseBody) ? { ...failure, mayBePaid: true } : failure;
}

const redirections: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Classifies the error of a server that has answered. */
function readRefusal(error: APICallError, status: number, now: number, redact: (text: string) => string): Failure {
  const detail = describeApiError(error, redact);
  const headers: Headers = error.responseHeaders ?? {};
  const isPage = /text\/html/i.test(headers["content-type"] ?? "") || /^\s*</.test(error.responseBody ?? "");
  if (status < 300) {
    return isPage
      ? {
          kind: "stop",
          detail: "expected JSON, got a page (HTML); check the address",
          isUsage: true,
          isRowPossible: true,
          isPage,
        }
      : lost(`the reply was cut off or is not of the protocol (${detail})`);
  }
  if (status < 400 && !redirections.has(status))
    return {
      kind: "stop",
      detail: `it answers with status ${status}, which is no reply; check the address, and what stands before the server`,
      isUsage: true,
      isRowPossible: true,
    };
  if (status < 400)
    return {
      kind: "stop",
      detail: `it redirects (${status}); give the final address`,
      isUsage: true,
      isRowPossible: true,
    };
  if (status === 407) return { kind: "stop", detail: `a proxy refused it (${detail}); ${proxyAdvice}`, isUsage: true };
  if (status === 401)
    return { kind: "stop", detail: `the key was not accepted (${detail})`, isUsage: true, isKeyRefused: true };
  const said = mayBeMoney.has(status) ? detail : "";
  if (status === 402 || (status < 500 && tellsNoMoney(said, codesOf(error.responseBody))))
    return { kind: "stop", detail: `the account has no money or quota left (${detail})`, isUsage: false };
  if (status === 403 && !filtered.test(detail))
    return {
      kind: "stop",
      detail: `the key has no access to it (${detail})`,
      isUsage: true,
      isRowPossible: true,
      isPage,
    };
  if (status === 404 || status === 405)
    return {
      kind: "stop",
      detail: `no such model or address (${detail}); check the name${placeOf(error.url)}`,
      isUsage: true,
      isRowPossible: true,
      isPage,
    };
  const isOver =
    dailyQuota.test(error.responseBody ?? "") || // Google asks to come back in seconds all the same
    (dailyLimit.test(detail) &&
      readRetryAfter(headers, now) === undefined &&
      readRetryDelay(error.responseBody) === undefined);
  if (status === 429 && isOver)
    return { kind: "stop", detail: `its limit for the day is reached (${detail})`, isUsage: false };
  if (status === 408 || status === 409 || status === 425 || status === 429 || status >= 500) {
    const retryAfterMs = readRetryAfter(headers, now) ?? readRetryDelay(error.responseBody);
    return {
      kind: "retry",
      detail,
      retryAfterMs,
      isCongestion: status === 429 || status === 503 || status === 529,
      isUnreachable: false,
      mayBePaid: gatewayStatuses.has(status), // behind its timeout a reply may be billed
    };
  }
  if (
    status === 413 ||
    (tooLong.test(detail) &&
      !notOfText.test(detail) &&
      !/max_(completion_|output_)?tokens|maxOutputTokens/i.test(detail))
  )
    return { kind: "state", state: "failed", detail: `too long for the model (${detail})` };
  if (filtered.test(detail)) return { kind: "state", state: "refused", detail: `filtered by the provider (${detail})` };
  const parameter = refusedParameter(detail);
  if (parameter !== undefined)
    return { kind: "stop", detail: `it does not accept ${parameter} (${detail})`, isUsage: true, isRowPossible: true };
  if (/key/i.test(detail) && /invalid|valid|expired|incorrect/i.test(detail) && /api.?key/i.test(detail))
    return { kind: "stop", detail: `the key was not accepted (${detail})`, isUsage: true }; // Google says 400
  if (/model/i.test(detail) && /not.?(found|exist|support)|unknown|does not exist|invalid model/i.test(detail))
    return { kind: "stop", detail: `no such model (${detail}); check the name`, isUsage: true };
  return { kind: "doubtful", detail };
}

/** Whether the body of an error also has a part of a reply, or says how many tokens there were. */
export function tellsOfReply(body: unknown): boolean {
  const text = textOf(body);
  const hasTokens = /"(?:total|completion|output|prompt|input)_tokens"\s*:\s*[1-9]/.test(text);
  return hasTokens || (/"choices"\s*:/.test(text) && /"content"\s*:\s*"[^"]/.test(text));
}

/** A reply that may have been generated but was not received, so it may be billed. */
function lost(detail: string): Failure & { readonly kind: "retry" } {
  return { kind: "retry", detail, isCongestion: false, isUnreachable: false, mayBePaid: true };
}

/** Classifies an error without a status: the connection failed, before or after the request was sent. */
function readUnreached(error: Error): Failure {
  const code = findCode(error);
  const proxy = findProxy(error);
  const through = proxy === undefined ? "" : `, through the proxy ${proxy}`;
  const [, refusal] = /Proxy response \((\d+)\)/.exec(proxy === undefined ? "" : messageOf(error)) ?? [];
  if (refusal !== undefined) {
    const detail = `the proxy ${proxy} refused it (${refusal})`;
    return Number(refusal) >= 500
      ? { ...lost(detail), isUnreachable: true, mayBePaid: false }
      : { kind: "stop", detail: `${detail}; ${proxyAdvice}`, isUsage: true };
  }
  const detail =
    (unreachable[code ?? ""] ?? (code === undefined ? messageOf(error) : `the connection broke (${code})`)) + through;
  if (code === "UND_ERR_RES_EXCEEDED_MAX_SIZE" || code === "ERR_BUFFER_TOO_LARGE")
    return lost(`its reply is larger than ${largestReply / 1024 ** 2} MB, and was broken off`);
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "ERR_SSL_PACKET_LENGTH_TOO_LONG")
    return { kind: "stop", detail: "the server there does not speak https; try http://", isUsage: true };
  if (code !== undefined && /CERT|SSL|TLS|UNABLE_TO_VERIFY|SELF_SIGNED/.test(code))
    return { kind: "stop", detail: `its certificate was not accepted (${code})`, isUsage: false };
  return code !== undefined && code in unreachable
    ? { kind: "retry", detail, isCongestion: false, isUnreachable: true, mayBePaid: false }
    : lost(detail);
}

const proxyAdvice = "check the proxy's address, name and password, or name the host in NO_PROXY";

/** The proxy that a failed request went through. */
function findProxy(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof ProxyError) return at.proxy;
  return undefined;
}

const unreachable: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens at that address (ECONNREFUSED)",
  ENOTFOUND: "no host of that name (ENOTFOUND); is there a network?",
  EAI_AGAIN: "the host's name cannot be looked up (EAI_AGAIN); is there a network?",
  ENETUNREACH: "no way to that network (ENETUNREACH)",
  EHOSTUNREACH: "no way to that host (EHOSTUNREACH)",
  UND_ERR_CONNECT_TIMEOUT: "no answer when connecting (UND_ERR_CONNECT_TIMEOUT)",
  UND_ERR_PRX_CONN: "the proxy closed the connection (UND_ERR_PRX_CONN)",
  UND_ERR_HEADERS_TIMEOUT: "the proxy does not connect (UND_ERR_HEADERS_TIMEOUT)", // replies have no such limit
};

/** Classifies any other error of a model's client: unwrapped network errors, unreadable replies. */
function readOther(error: unknown, redact: (text: string) => string): Failure {
  const name = error instanceof Error ? error.name : "";
  if (/LoadAPIKey|LoadSetting/.test(name)) return { kind: "stop", detail: messageOf(error), isUsage: true };
  if (/NoSuchModel|UnsupportedFunctionality|InvalidArgument|InvalidPrompt/.test(name))
    return {
      kind: "stop",
      detail: messageOf(error),
      isUsage: true,
      isRowPossible: UnsupportedFunctionalityError.isInstance(error) && error.functionality.startsWith(ofOneReply),
    };
  if (error instanceof Error && findCode(error) !== undefined) return readUnreached(error);
  return lost(redact(messageOf(error)).slice(0, longestDetail));
}

function findCode(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ("code" in at && typeof at.code === "string" && at.code !== "UND_ERR") return at.code;
    if (at instanceof AggregateError && at.errors.length > 0) return findCode(at.errors[0]);
  }
  return undefined;
}

/** The address that was asked, and what may be missing in it. */
function placeOf(url: string): string {
  return `: asked at ${url}${/\/v\d/.test(url) ? "" : "; most servers have their models below /v1"}`;
}

/** The parameter of the request that a refusal names; undefined where it is about something else. */
function refusedParameter(detail: string): string | undefined {
  if (!/unsupported|not support|not permitted|unrecogni[sz]ed|unexpected|extra (inputs|fields)/i.test(detail))
    return undefined;
  const [, name] =
    /\b(temperature|top_p|max_tokens|max_completion_tokens|seed|response_format|top_logprobs|logprobs|reasoning_effort)\b/.exec(
      detail,
    ) ?? [];
  return name ?? (/system role|role ["'`]?system/i.test(detail) ? "a system role" : undefined);
}

/** How long Google asks to wait: in the body, as `"retryDelay": "32s"`. */
function readRetryDelay(body: string | undefined): number | undefined {
  const [, seconds] = /"retryDelay"\s*:\s*"(\d+(?:\.\d+)?)s"/.exec(body ?? "") ?? [];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}

/** `429: Rate limit reached for gpt-5-mini` */
function describeApiError(
  { statusCode, message, responseBody }: APICallError,
  redact: (text: string) => string,
): string {
  const text = redact(message || textOf(responseBody)); // before it is cut: half a key is a secret too
  const code = codeOf({ responseBody });
  const said = text.replace(/\s+/g, " ").trim().slice(0, longestDetail);
  return `${statusCode}: ${code !== undefined && !said.includes(code) ? `${code}: ` : ""}${said}`;
}

/** The provider's error code: `context_length_exceeded`. */
function codeOf({ responseBody }: { readonly responseBody?: unknown }): string | undefined {
  return /"(?:code|type|status)"\s*:\s*"([a-zA-Z]+_[a-zA-Z_]{1,60})"/.exec(textOf(responseBody))?.[1];
}

/** All codes, types and statuses in a body. */
function codesOf(body: unknown): string[] {
  const found = textOf(body).matchAll(/"(?:code|type|status|reason)"\s*:\s*"([^"]{1,60})"/g);
  return Array.from(found, ([, code]) => code!).slice(0, 20);
}

/** A body as text: a client gives an object where it has read it. */
function textOf(body: unknown): string {
  return typeof body === "string" ? body : body == null ? "" : (JSON.stringify(body) ?? "");
}
