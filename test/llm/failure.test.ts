import { describe, expect, test } from "vitest";
import { APICallError } from "@ai-sdk/provider";
import { redactor } from "../../src/llm/secrets.ts";
import { passageOf } from "../../src/llm/attempt.ts";
import { readFailure, timedOut } from "../../src/llm/failure.ts";

/** An error as undici throws it for a connection that fails. */
function networkError(code: string): Error {
  return new TypeError("fetch failed", { cause: Object.assign(new Error(code), { code }) });
}

describe("a connection that fails", () => {
  test.each(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "ENETUNREACH", "UND_ERR_CONNECT_TIMEOUT"])(
    "with %s reached nobody, so nothing can be on the bill",
    (code) => {
      expect(readFailure(networkError(code), 0)).toMatchObject({
        kind: "retry",
        isUnreachable: true,
        mayBePaid: false,
      });
    },
  );

  test.each(["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"])("with %s may have been answered", (code) => {
    expect(readFailure(networkError(code), 0)).toMatchObject({ kind: "retry", isUnreachable: false, mayBePaid: true });
  });

  test.each(["CERT_HAS_EXPIRED", "DEPTH_ZERO_SELF_SIGNED_CERT", "ERR_TLS_CERT_ALTNAME_INVALID"])(
    "with %s will not go better another time",
    (code) => {
      expect(readFailure(networkError(code), 0)).toMatchObject({ kind: "stop", isUsage: false });
    },
  );

  test("to several addresses of one host at a time is one failure", () => {
    const error = new AggregateError([Object.assign(new Error("no"), { code: "ECONNREFUSED" })]);
    expect(readFailure(error, 0)).toMatchObject({ kind: "retry", isUnreachable: true });
  });
});

test("whatever else is thrown is tried again, and may be on the bill", () => {
  for (const thrown of [new Error("odd"), "text", undefined, { code: 1 }])
    expect(readFailure(thrown, 0)).toMatchObject({ kind: "retry", mayBePaid: true });
});

test("a key is removed before a text is cut, also in other forms", () => {
  const key = "sk-0123456789abcdefghij+/=0123456789";
  const redact = redactor(key);
  for (const form of [key, encodeURIComponent(key), Buffer.from(key).toString("base64")]) {
    for (let before = 250; before <= 300; before++) {
      const message = `${"x".repeat(before)}${form} was not accepted`;
      const api = new APICallError({ message, url: "http://127.0.0.1/v1", requestBodyValues: {}, statusCode: 400 });
      for (const error of [api, new Error(message)]) {
        const { detail } = readFailure(error, 0, redact);
        expect(detail).not.toContain(form.slice(0, 6));
      }
    }
  }
});

describe("what a refusal says", () => {
  const refusal = (statusCode: number, message: string, responseHeaders: Record<string, string> = {}) =>
    readFailure(
      new APICallError({
        message,
        url: "http://127.0.0.1:8000/chat/completions",
        requestBodyValues: {},
        statusCode,
        responseHeaders,
      }),
      0,
    );

  test("a limit for the day stops, unless the provider says when to come back", () => {
    const message = "Rate limit exceeded: free-models-per-day";
    expect(refusal(429, message)).toMatchObject({ kind: "stop", detail: expect.stringContaining("limit for the day") });
    expect(refusal(429, message, { "retry-after": "60" })).toMatchObject({ kind: "retry", retryAfterMs: 60_000 });
    expect(refusal(429, "Rate limit reached")).toMatchObject({ kind: "retry" });
  });

  const quota = (id: string) =>
    JSON.stringify({ error: { details: [{ violations: [{ quotaId: id }] }, { retryDelay: "1s" }] } });
  test("a quota for the day stops, whenever its body asks to come back", () => {
    const message = "You exceeded your current quota, please check your plan and billing details.";
    const of = (responseBody: string) =>
      readFailure(
        new APICallError({ message, url: "http://127.0.0.1/v1", requestBodyValues: {}, statusCode: 429, responseBody }),
        0,
      );
    expect(of(quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"))).toMatchObject({ kind: "stop" });
    expect(of(quota("GenerateRequestsPerMinutePerProjectPerModel"))).toMatchObject({ kind: "retry" });
  });

  test.each<[status: number, message: string]>([
    [400, "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."],
    [403, "Key limit exceeded (total limit). Manage it using the settings page"],
    [400, "Budget has been exceeded! Current cost: 10.2, Max budget: 10.0"],
    [400, "budget_exceeded"],
    [400, "Arrearage: Access denied, please make sure your account is in good standing."],
    [400, "your spend this month exceeds the limit set for this key"],
    [429, "You exceeded your current quota (insufficient_quota)"],
    [400, "Your credit balance is too low to access the API."],
    [403, "Your team has either used all available credits or reached its monthly spending limit."],
    [412, "Account suspended: your account has hit its monthly spend limit"],
    [429, "余额不足或无可用资源包,请充值。"],
    [403, "This API method requires billing to be enabled."],
    [403, "You don't have enough credits for this model"],
    [429, '{"detail":"You have insufficient credits"}'],
    [400, "{'error': {'message': 'insufficient balance'}}"],
    [429, "Your account's monthly spend limit was reached (see https://x/rate-limits)."],
    [400, "Your account balance is insufficient"],
    [400, JSON.stringify({ detail: 'Model "x" cannot run: you have insufficient credits' })],
    [429, JSON.stringify({ detail: ["You have insufficient credits"] })],
    [429, JSON.stringify({ error_description: "You have insufficient credits" })],
    [429, "Too Many Requests: insufficient balance"],
    [429, '[{"error":{"code":429,"message":"Your account has insufficient credits"}}]'],
    [
      429,
      "Your team has used all available credits or reached its monthly spending limit. Please try again in 5 days.",
    ],
    [429, "Your credit balance is too low to access the API. (limit 50 requests per minute)"],
    [429, "You have no credits left. Buy credits to raise your limit from 20 requests per minute."],
    [429, "Monthly spending limit of $20.00 has been reached. Raise it in the console."],
    [400, "This request would exceed your organization's monthly spend limit"],
    [400, "Can't process: {'error': {'message': 'insufficient balance'}}"],
  ])("%d %j: no money is left, and no call is tried again", (status, message) => {
    expect(refusal(status, message)).toMatchObject({
      kind: "stop",
      detail: expect.stringContaining("no money or quota left"),
    });
  });

  test.each<[status: number, message: string, kind: string]>([
    [429, "You exceeded your current quota, please check your plan and billing details.", "retry"],
    [429, "Rate limit reached for gpt-5-mini: limit 200000 tokens a minute, used 199000", "retry"],
    [429, "Your organization has reached its limit of requests per minute", "retry"],
    [429, "API key limit exceeded: 60 requests per minute", "retry"],
    [429, "You have exceeded your usage limit of 10 requests per second", "retry"],
    [429, "hit your concurrency usage limit", "retry"],
    [429, "Rate limit of 10 requests per minute exceeded; raise your spending limit for more", "retry"],
    [429, "Insufficient quota for requests per minute; retry after 20 s", "retry"],
    [429, "Free tier: you have no credits, so you are limited to 20 requests per minute. Retry in 1 s.", "retry"],
    [429, "You have used your credits per minute allowance", "retry"],
    [429, "You have reached your usage limit. Please try again in 1m26.4s", "retry"],
    [429, "Free tier users have no credits. You are limited to 20 requests per minute. Retry in 1 s.", "retry"],
    [429, "Rate limit reached. Limits depend on your spend limit tier.", "retry"],
    [429, "Throttled: insufficient quota. Please retry after 20 seconds.", "retry"],
    [429, "Too many requests: rate limit 60 rpm reached. Higher limits need a higher spend limit.", "retry"],
    [400, `[{'type': 'value_error', 'msg': 'no', 'input': '{"error":"insufficient balance"}'}]`, "doubtful"],
    [400, `{'detail': [{'msg': 'no', 'input': '{"error":"insufficient balance"}'}]}`, "doubtful"],
    [400, `Invalid message: '{"error": "insufficient balance"}'`, "doubtful"],
    [400, `{"detail":"Invalid content 'I have no credits left' in messages"}`, "doubtful"],
    [422, "value is not valid: my team has no credits left", "doubtful"],
    [400, "Invalid value: 'What if I have no credits left?'", "doubtful"],
    [400, "thinking budget exceeded", "doubtful"],
    [400, "input_tokens (9000) exceeds the limit of 8192", "state"],
    [400, "The message content exceeds the limit", "state"],
    [400, "Request input length 5000 exceeds the maximum length 4096", "state"],
    [400, "The request exceeds the maximum number of tokens", "state"],
    [400, "The total tokens of the request exceeds the limit 4096", "state"],
    [400, '{"detail":[{"msg":"too short","input":"I have no credits left"}]}', "doubtful"],
    [400, "the number of images in the input exceeds the limit", "doubtful"],
    [400, "This model's maximum context length is 8192 tokens", "state"],
    [400, "The input of 9000 tokens exceeds the limit of 8192", "state"],
    [400, "the prompt is over the limit: it exceeds the maximum number of tokens", "state"],
    [400, "the number of images exceeds the limit", "doubtful"],
    [403, "the key may not use this model", "stop"],
  ])("%d %j is something else: %s", (status, message, kind) => {
    const failure = refusal(status, message);
    expect(failure.kind).toBe(kind);
    expect(failure.detail).not.toContain("no money");
  });

  test("an unknown address is named, with what may be missing in it", () => {
    expect(refusal(404, "page not found")).toMatchObject({
      kind: "stop",
      detail: expect.stringMatching(/asked at http:\/\/127\.0\.0\.1:8000\/chat\/completions; most servers .* \/v1/),
    });
  });

  test("a length that does not fit is about the row, not about a parameter", () => {
    expect(refusal(400, "max_tokens must be at least 1, got -55")).toMatchObject({ kind: "doubtful" });
    expect(refusal(400, "Unsupported parameter: 'seed'")).toMatchObject({
      kind: "stop",
      isUsage: true,
      isRowPossible: true,
    });
  });

  test("no reply in time slows down, and is no congestion that is tried for long", () => {
    const late = Object.assign(new Error("no reply within 120 s"), { name: timedOut });
    const failure = readFailure(late, 0);
    expect(failure).toMatchObject({ kind: "retry", isCongestion: false, isLate: true, mayBePaid: true });
    expect(passageOf(failure, true).result).toBe("congested");
  });
});
