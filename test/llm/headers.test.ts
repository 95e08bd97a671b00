import { describe, expect, test } from "vitest";
import { decideNextStep } from "../../src/llm/give-up-policy.ts";
import { readLimits, readRetryAfter } from "../../src/llm/headers.ts";

const now = Date.parse("2026-11-22T12:00:00Z");

test("a page in place of an answer is tried again where others were answered", () => {
  const failure = { kind: "stop", detail: "a page", isUsage: true, isRowPossible: true, isPage: true } as const;
  const attempt = { attempts: 1, congestions: 0, maxAttempts: 3, random: 0.5 };
  expect(decideNextStep(failure, { ...attempt, hasAnswered: true })).toMatchObject({ kind: "retry" });
  expect(decideNextStep(failure, { ...attempt, hasAnswered: true, attempts: 3 })).toMatchObject({ kind: "give up" });
  expect(decideNextStep(failure, { ...attempt, hasAnswered: false })).toMatchObject({ kind: "stop" });
});

test.each(["Infinity", "1e999", "NaN", ""])("an endless limit is none: %j", (limit) => {
  expect(readLimits({ "x-ratelimit-limit-requests": limit, "x-ratelimit-remaining-requests": "" }, now)).toEqual({});
});

test("what is left is unknown where its header is empty, and a time to come may count from 1970", () => {
  const seconds = String(now / 1000 + 2);
  const headers = {
    "x-ratelimit-limit-requests": "600",
    "x-ratelimit-remaining-requests": "",
    "x-ratelimit-reset-requests": seconds,
  };
  expect(readLimits(headers, now)).toEqual({ requests: { perMinute: 600, resetMs: 2000 } });
  expect(readRetryAfter({ "retry-after": seconds }, now)).toBe(2000);
  expect(readRetryAfter({ "retry-after": String(now + 3000) }, now)).toBe(3000);
});

test("a limit of less than one is none", () => {
  const headers = { "x-ratelimit-limit-requests": "1e-5", "x-ratelimit-remaining-requests": "0" };
  expect(readLimits(headers, now)).toEqual({});
});

describe("how long to wait", () => {
  test.each([undefined, 0, 1])("a server that asks for %s ms gets our own wait at least", (retryAfterMs) => {
    const failure = {
      kind: "retry",
      detail: "429",
      isCongestion: true,
      isUnreachable: false,
      mayBePaid: false,
    } as const;
    const attempt = { attempts: 5, congestions: 4, maxAttempts: 6, hasAnswered: true, random: 0.5 };
    const delayOf = (ms: number | undefined) => {
      const next = decideNextStep({ ...failure, retryAfterMs: ms }, attempt);
      return next.kind === "retry" ? next.delayMs : NaN;
    };
    expect(delayOf(retryAfterMs)).toBe(delayOf(undefined));
    expect(delayOf(600_000)).toBeGreaterThanOrEqual(600_000);
  });

  test.each([
    [{ "retry-after": "2" }, 2000],
    [{ "retry-after": "0.5" }, 500],
    [{ "retry-after": "Sun, 22 Nov 2026 12:00:07 GMT" }, 7000],
    [{ "retry-after": "Sun, 22 Nov 2026 11:00:00 GMT" }, 0],
    [{ "retry-after-ms": "120", "retry-after": "9" }, 120],
    [{ "retry-after": "soon" }, undefined],
    [{ "retry-after": "-3" }, undefined],
    [{ "retry-after": "60 (sec)" }, undefined],
    [{ "retry-after": "foo 3600" }, undefined],
    [{}, undefined],
  ])("%j is %s ms", (headers, expected) => {
    expect(readRetryAfter(headers as Record<string, string>, now)).toBe(expected);
  });
});

describe("what limits are announced", () => {
  test("by OpenAI", () => {
    const headers = {
      "x-ratelimit-limit-requests": "600",
      "x-ratelimit-remaining-requests": "599",
      "x-ratelimit-reset-requests": "100ms",
      "x-ratelimit-limit-tokens": "200000",
      "x-ratelimit-remaining-tokens": "100000",
      "x-ratelimit-reset-tokens": "30s",
    };
    expect(readLimits(headers, now)).toEqual({
      requests: { perMinute: 600, remaining: 599, resetMs: 100 },
      tokens: { perMinute: 200_000, remaining: 100_000, resetMs: 30_000 },
    });
  });

  test("by the day have no pace", () => {
    const headers = {
      "x-ratelimit-limit-requests": "200",
      "x-ratelimit-remaining-requests": "199",
      "x-ratelimit-reset-requests": "7m12s",
    };
    expect(readLimits(headers, now)).toEqual({ requests: { remaining: 199, resetMs: 432_000 } }); // as fast as one likes
  });

  test("by Anthropic", () => {
    const headers = {
      "anthropic-ratelimit-requests-limit": "50",
      "anthropic-ratelimit-requests-remaining": "0",
      "anthropic-ratelimit-requests-reset": "2026-11-22T12:00:30Z",
      "anthropic-ratelimit-output-tokens-limit": "8000",
    };
    expect(readLimits(headers, now)).toEqual({
      requests: { perMinute: 50, remaining: 0, resetMs: 30_000 },
      outputTokens: { perMinute: 8000 },
    });
  });

  test("nonsense announces nothing", () => {
    expect(readLimits({ "x-ratelimit-limit-requests": "many", "x-ratelimit-limit-tokens": "0" }, now)).toEqual({});
  });
});
