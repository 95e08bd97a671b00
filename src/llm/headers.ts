/*
 * Reads a provider's rate limits from the headers of a reply.
 */

export type Headers = Readonly<Record<string, string>>;

/** A rate limit as a provider reports it. */
export interface AnnouncedLimit {
  /** Undefined for a limit per day, which may be used at any speed. */
  readonly perMinute?: number | undefined;
  readonly remaining?: number | undefined;
  /** Milliseconds until some or all of it is available again. */
  readonly resetMs?: number | undefined;
}

export const limitKinds = ["requests", "tokens", "inputTokens", "outputTokens"] as const;
export type LimitKind = (typeof limitKinds)[number];

const minuteMs = 60_000;
const longestMinuteMs = 600_000; // a limit that refills more slowly than this is not per minute

/** `Sun, 06 Nov 1994 08:49:37 GMT`, and the two forms that are obsolete. */
const httpDate =
  /^[a-z]{3,9},? \d{2}[ -][a-z]{3}[ -]\d{2,4} \d{2}:\d{2}:\d{2} gmt$|^[a-z]{3} [a-z]{3} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/i;

/**
 * How long a reply asks to wait, in milliseconds: `retry-after-ms`, or `retry-after` in seconds or as a date (RFC 9110,
 * section 10.2.3). Undefined when neither is present and readable.
 */
export function readRetryAfter(headers: Headers, now: number): number | undefined {
  const inMs = headers["retry-after-ms"]?.trim() ?? "";
  if (/^\d+(\.\d+)?$/.test(inMs)) return Number(inMs);
  const text = headers["retry-after"]?.trim();
  if (!text) return undefined;
  if (/^\d+(\.\d+)?$/.test(text)) return readSeconds(Number(text), now);
  const date = httpDate.test(text) ? Date.parse(text) : NaN; // which takes nearly anything for a date
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/**
 * The limits in a reply's headers, in the formats of OpenAI (`x-ratelimit-limit-requests`) and Anthropic
 * (`anthropic-ratelimit-requests-limit`).
 */
export function readLimits(headers: Headers, now: number): Partial<Record<LimitKind, AnnouncedLimit>> {
  const limits: Partial<Record<LimitKind, AnnouncedLimit>> = {};
  const add = (kind: LimitKind, limit?: string, remaining?: string, reset?: string) => {
    const count = readCount(limit);
    if (!(count >= 1 && count <= mostCount)) return; // less than one, or endless, is no limit that a server means
    const left = readCount(remaining);
    const resetMs = reset === undefined ? undefined : readReset(reset, now);
    limits[kind] = {
      ...(isByMinute(count, left, resetMs) && { perMinute: count }),
      ...(left >= 0 && { remaining: left }),
      resetMs,
    };
  };
  for (const kind of ["requests", "tokens"] as const) {
    const prefix = "x-ratelimit-";
    add(
      kind,
      headers[`${prefix}limit-${kind}`],
      headers[`${prefix}remaining-${kind}`],
      headers[`${prefix}reset-${kind}`],
    );
  }
  for (const [kind, name] of anthropicNames) {
    const prefix = `anthropic-ratelimit-${name}`;
    add(kind, headers[`${prefix}-limit`], headers[`${prefix}-remaining`], headers[`${prefix}-reset`]);
  }
  return limits;
}

const mostCount = 1e12;

/** A number; NaN where there is none, or an empty text. */
function readCount(text: string | undefined): number {
  return text === undefined || text.trim() === "" ? NaN : Number(text);
}

const leastEpoch = 1e9; // seconds: a wait of 31 years, or a time since 1970

/** Milliseconds from seconds to wait, or from a time in seconds or milliseconds since 1970. */
function readSeconds(seconds: number, now: number): number {
  if (seconds < leastEpoch) return seconds * 1000;
  return Math.max(0, seconds * (seconds < leastEpoch * 1000 ? 1000 : 1) - now);
}

const anthropicNames = [
  ["requests", "requests"],
  ["tokens", "tokens"],
  ["inputTokens", "input-tokens"],
  ["outputTokens", "output-tokens"],
] as const;

/** A limit refills evenly over its period, so the used part and the reset time give the period: a minute, or a day. */
function isByMinute(limit: number, remaining: number, resetMs: number | undefined): boolean {
  if (resetMs === undefined || resetMs <= minuteMs || !(remaining < limit)) return true;
  return (resetMs * limit) / (limit - remaining) <= longestMinuteMs;
}

/** Reads `6m0s`, `120ms`, `1.5s`, a number of seconds, or a date; returns milliseconds. */
function readReset(text: string, now: number): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return readSeconds(Number(text), now);
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  if (parts.length > 0 && parts.map(([part]) => part).join("") === text) {
    return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * unitMs[unit as keyof typeof unitMs], 0);
  }
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

const unitMs = { ms: 1, s: 1000, m: minuteMs, h: 3_600_000, d: 86_400_000 };
