/** The value of a JSON text; undefined if the text is not JSON. */
export function tryParse(text: string, parse: (text: string) => unknown = JSON.parse): unknown {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

type SourceReviver = (key: string, value: unknown, context?: { readonly source?: string }) => unknown;

/** What `JSON.stringify` writes as it is: a number that JavaScript writes otherwise, such as `1.0`. */
interface RawNumber {
  readonly rawJSON: string;
}

const rawJson = JSON as unknown as {
  rawJSON(text: string): RawNumber;
  isRawJSON(value: unknown): value is RawNumber;
};

/**
 * JSON whose numbers are written again as they are: `1.0` and `12345678901234567890` stay so in `JSON.stringify`. To be passed on, not to be
 * computed with. @throws SyntaxError when it is not JSON
 */
export function parseToPassOn(text: string): unknown {
  if (!oddNumber.test(text)) return JSON.parse(text);
  const revive: SourceReviver = (_, value, context) =>
    typeof value === "number" && context?.source !== undefined && context.source !== String(value)
      ? rawJson.rawJSON(context.source)
      : value;
  return JSON.parse(text, revive);
}

/** A number that JavaScript may write otherwise. */
const oddNumber = /\d{16}|\d\.\d|\d[eE]|-0/;
const hasCalls = /"(?:tools|functions|tool_calls|function_call)"\s*:/;

/** Fields whose values are passed on to models as they are; some only within calls. */
const passedOn: ReadonlySet<string> = new Set(["tools", "functions"]);
const calls: ReadonlySet<string> = new Set(["tool_calls", "function_call"]);
const passedOnInCalls: ReadonlySet<string> = new Set(["arguments", "parameters"]);

/**
 * JSON with its numbers as they are: a whole number that JavaScript's cannot hold, such as an id over 2^53, becomes its text. In tools and in
 * the arguments of their calls, all numbers are passed on as they are written.
 *
 * @throws SyntaxError when it is not JSON
 */
export function parseExactly(text: string): unknown {
  const read: unknown = JSON.parse(text);
  if (!mayHoldNumber(read)) return read; // a look at its values is faster than one at the text
  if (oddNumber.test(text) && hasCalls.test(text)) return toValues(parseToPassOn(text));
  if (!/\d{16}/.test(text) || !/[:[,\s]-?\d{16}/.test(text)) return read; // the first look is three times as fast
  const revive: SourceReviver = (_, value, context) =>
    typeof value === "number" ? toValue(value, context?.source ?? "") : value;
  return JSON.parse(text, revive);
}

const deepestLook = 16;

/** Whether a number is among its values; true also where it is too deep to look. */
function mayHoldNumber(value: unknown, depth = 0): boolean {
  if (typeof value !== "object" || value === null) return typeof value === "number";
  if (depth === deepestLook) return true;
  if (Array.isArray(value)) return value.some((item) => mayHoldNumber(item, depth + 1));
  for (const key in value) if (mayHoldNumber((value as Record<string, unknown>)[key], depth + 1)) return true;
  return false;
}

function toValue(value: number, source: string): number | string {
  return !Number.isSafeInteger(value) && /^-?\d+$/.test(source) ? source : value;
}

/** Numbers in place of those to pass on, but for the fields that are. Changes objects and lists in place. */
function toValues(value: unknown, isCall = false): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (rawJson.isRawJSON(value)) return toValue(Number(value.rawJSON), value.rawJSON);
  for (const [key, inner] of Object.entries(value)) {
    if (typeof inner !== "object" || inner === null) continue;
    const stays = passedOn.has(key) || (isCall && passedOnInCalls.has(key));
    if (stays && !rawJson.isRawJSON(inner)) continue;
    (value as Record<string, unknown>)[key] = toValues(inner, isCall || calls.has(key)); // also an item of a list
  }
  return value;
}
