import type { Reply, TokenLogprob } from "./reply.ts";

/** The `problem` of a missing or malformed API key, if any. */
export function describeKey(name: string, key: string | undefined, variables: readonly string[]): { problem?: string } {
  const variable = variables.join(" or ");
  if (key === undefined)
    return { problem: `${name}: expected a key in ${variable}, got none; set it in the environment or in a file .env` };
  if (!/^[\x21-\x7e]+$/.test(key))
    return { problem: `${name}: expected the key in ${variable} to be plain characters without spaces, got others` };
  return {};
}

/**
 * Removes keys from a text. Of an error (the default) also pieces of them, and short keys. A reply is data, which a key such as `test` or
 * `12345` must not change: of it, whole keys that are long enough to be secrets.
 */
export type Redact = (text: string, of?: "reply") => string;

const shortest = 4; // characters of a key that is worth looking for
const shortestSecret = 16; // characters of a key that somebody might keep secret; those of providers have 30 and more
const leastPiece = 10; // characters of a form that give a key away

/**
 * Removes a key from texts, also as it stands in addresses, in Base64 at any alignment or twice, in hexadecimal, backwards, in other letter
 * case, with white space or invisible characters in it, in escapes of JSON and HTML, in full width, and cut: from half of it on. To be used on
 * whole texts, before they are cut.
 */
export function redactor(key: string | undefined): Redact {
  if (key === undefined || key.length < shortest) return (text) => text;
  const forms = [...new Set(formsOf(key).map(lowerAscii))].filter((form) => form.length >= shortest);
  const rangesIn = (text: string, of: "reply" | undefined): Range[] => {
    const lower = lowerAscii(text);
    return forms
      .flatMap((form) => [...rangesOfForm(lower, form), ...(of === "reply" ? [] : rangesOfPieces(lower, form))])
      .concat(of === "reply" ? [] : rangesOfMasked(lower, lowerAscii(key)));
  };
  return (text, of) => {
    if (of === "reply" && key.length < shortestSecret) return text;
    const clean = withoutRanges(text, rangesIn(text, of));
    if (key.length < shortestSecret) return clean; // its few characters stand in a row by chance, where white space does not count
    const plain = clean.replace(disguise, reveal);
    if (plain === clean) return clean;
    const hidden = rangesIn(plain, of);
    return hidden.length === 0 ? clean : withoutRanges(clean, placesBefore(clean, hidden));
  };
}

/** The same for several secrets; those that are not there are left out. */
export function redactorOf(secrets: readonly (string | undefined)[]): Redact {
  const redactors = secrets.map(redactor);
  return (text, of) => redactors.reduce((clean, one) => one(clean, of), text);
}

/** What may stand between or in place of a key's characters: white space, invisible characters, escapes, full width. */
const disguise = /[\s\p{Cf}]+|\\u[0-9a-f]{4}|\\x[0-9a-f]{2}|&#(?:\d{1,7}|x[0-9a-f]{1,6});|[\uff01-\uff5e]/giu;

/** The character that a disguise stands for; nothing where it is white space or cannot be seen. */
function reveal(found: string): string {
  const [, hexadecimal, decimal] = /^(?:\\u|\\x|&#x)([0-9a-f]+);?$|^&#(\d+);$/i.exec(found) ?? [];
  const code = hexadecimal !== undefined ? Number.parseInt(hexadecimal, 16) : Number(decimal ?? NaN);
  if (Number.isInteger(code)) return code < 0x10000 ? String.fromCharCode(code) : "\ufffd";
  const first = found.charCodeAt(0);
  return first >= 0xff01 && first <= 0xff5e ? String.fromCharCode(first - 0xfee0) : "";
}

/** Ranges of a text without disguises as ranges of the text itself. */
function placesBefore(text: string, ranges: readonly Range[]): Range[] {
  const starts: number[] = [];
  const ends: number[] = [];
  const add = (from: number, to: number, length: number) => {
    for (let i = 0; i < length; i++) {
      starts.push(length === to - from ? from + i : from);
      ends.push(length === to - from ? from + i + 1 : to);
    }
  };
  let at = 0;
  for (const match of text.matchAll(disguise)) {
    add(at, match.index, match.index - at);
    at = match.index + match[0].length;
    add(match.index, at, reveal(match[0]).length);
  }
  add(at, text.length, text.length - at);
  return ranges.map(([start, end]) => [starts[start]!, ends[end - 1]!]);
}

function formsOf(key: string): string[] {
  const bytes = Buffer.from(key);
  const everyByte = [...bytes].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
  const aligned = [0, 1, 2].flatMap((offset) => {
    // of the digits that hold bits of the key alone
    const digits = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString("base64")
      .replace(/=+$/, "");
    const own = digits.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
    return [own, own.replaceAll("+", "-").replaceAll("/", "_")];
  });
  const escaped = JSON.stringify(key).slice(1, -1);
  const twice = Buffer.from(bytes.toString("base64")).toString("base64").replace(/=+$/, "");
  return [
    key,
    Array.from(key).toReversed().join(""),
    encodeURIComponent(key),
    everyByte,
    escaped,
    escaped.replaceAll("/", "\\/"),
    bytes.toString("hex"),
    ...aligned,
    twice,
    twice.slice(0, -2), // where more follows
  ];
}

type Range = readonly [start: number, end: number];

/** The text with `[key]` in place of ranges, which may overlap. */
function withoutRanges(text: string, ranges: readonly Range[]): string {
  let clean = "";
  let from = 0;
  for (const [start, end] of ranges.toSorted(([a], [b]) => a - b)) {
    if (start > from || (start === from && (from === 0 || !clean.endsWith("[key]"))))
      clean += `${text.slice(from, start)}[key]`;
    from = Math.max(from, end);
  }
  return ranges.length === 0 ? text : clean + text.slice(from);
}

function rangesOfForm(lower: string, form: string): Range[] {
  const ranges: Range[] = [];
  for (let at = lower.indexOf(form); at >= 0; at = lower.indexOf(form, at + form.length))
    ranges.push([at, at + form.length]);
  return ranges;
}

/** Where beginnings and ends of a form of a key stand that are at least half of it. */
function rangesOfPieces(lower: string, form: string): Range[] {
  const piece = Math.max(Math.min(leastPiece, form.length), Math.ceil(form.length / 2));
  const [head, tail] = [form.slice(0, piece), form.slice(-piece)];
  const ranges: Range[] = [];
  let from = 0;
  for (;;) {
    const atHead = lower.indexOf(head, from);
    const atTail = piece === form.length ? -1 : lower.indexOf(tail, from);
    if (atHead < 0 && atTail < 0) return ranges;
    let [start, end] = [atHead, atHead + piece];
    if (atHead < 0 || (atTail >= 0 && atTail < atHead)) {
      [start, end] = [atTail, atTail + piece];
      for (let k = form.length - piece - 1; k >= 0 && start > from && lower[start - 1] === form[k]; k--) start--;
    } else for (let k = piece; k < form.length && lower[end] === form[k]; k++) end++;
    ranges.push([start, end]);
    from = end;
  }
}

/** What servers write in place of a key's middle: `sk-ab***yz`, `sk-ab...yz`. */
const mask = /^(?:[*•●#x_-]{2,}|\.{2,}|…+|\[[^\]]{0,40}\]|<[^>]{0,40}>)/;
const leastEnd = 4; // characters before a mask that are looked for

/** Where a key stands with its middle masked, and half of it or more is shown. */
function rangesOfMasked(lower: string, key: string): Range[] {
  if (key.length < shortestSecret) return [];
  const ranges: Range[] = [];
  const head = key.slice(0, leastEnd);
  for (let at = lower.indexOf(head); at >= 0; at = lower.indexOf(head, at + 1)) {
    let shown = leastEnd;
    while (shown < key.length && lower[at + shown] === key[shown]) shown++;
    const middle = mask.exec(lower.slice(at + shown, at + shown + key.length + 50))?.[0] ?? "";
    if (middle === "") continue;
    const from = at + shown + middle.length;
    let tail = key.length - shown;
    while (tail > 0 && !lower.startsWith(key.slice(-tail), from)) tail--;
    if (shown + tail >= key.length / 2) ranges.push([at, from + tail]);
  }
  return ranges;
}

/** Lower case of ASCII alone, which keeps every place in the text. */
function lowerAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function spoken(logprobs: readonly TokenLogprob[]): string {
  return logprobs.map(({ token }) => token).join("");
}

function offered(logprobs: readonly TokenLogprob[]): string {
  return logprobs.flatMap(({ top = [] }) => top.map(([token]) => token)).join("");
}

/** A reply without the key in it: a server may say what it was sent, and replies are kept and shown. */
export function redactReply(reply: Reply, redactAny: Redact): Reply {
  const redact = (said: string) => redactAny(said, "reply");
  const { text, build, warnings, logprobs, ...rest } = reply;
  const isClean =
    logprobs === undefined || [spoken(logprobs), offered(logprobs)].every((said) => redact(said) === said);
  return {
    ...rest,
    ...(logprobs && isClean && { logprobs }), // a key would be in several tokens, of which none can be told
    text: redact(text),
    ...(build !== undefined && { build: redact(build) }),
    warnings: warnings.map(redact),
  };
}
