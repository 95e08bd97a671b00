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
 * Removes a key from texts, also as it stands in addresses, in Base64 at any alignment, in hexadecimal, backwards, in other letter case, and
 * cut: from half of it on. To be used on whole texts, before they are cut.
 */
export function redactor(key: string | undefined): Redact {
  if (key === undefined || key.length < shortest) return (text) => text;
  const forms = [...new Set(formsOf(key).map(lowerAscii))].filter((form) => form.length >= shortest);
  const longestFirst = forms.toSorted((a, b) => b.length - a.length);
  return (text, of) => {
    if (of === "reply" && key.length < shortestSecret) return text;
    const clean = longestFirst.reduce(redactForm, text);
    return of === "reply" ? clean : forms.reduce(redactPieces, clean); // pieces of the key itself first
  };
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
  return [
    key,
    Array.from(key).toReversed().join(""),
    encodeURIComponent(key),
    everyByte,
    escaped,
    escaped.replaceAll("/", "\\/"),
    bytes.toString("hex"),
    ...aligned,
  ];
}

function redactForm(text: string, form: string): string {
  const lower = lowerAscii(text);
  let clean = "";
  let from = 0;
  for (let at = lower.indexOf(form); at >= 0; at = lower.indexOf(form, from)) {
    clean += `${text.slice(from, at)}[key]`;
    from = at + form.length;
  }
  return from === 0 ? text : clean + text.slice(from);
}

/** The text without beginnings and ends of a form of a key that are at least half of it. */
function redactPieces(text: string, form: string): string {
  const piece = Math.max(Math.min(leastPiece, form.length), Math.ceil(form.length / 2));
  const lower = lowerAscii(text);
  const [head, tail] = [form.slice(0, piece), form.slice(-piece)];
  let clean = "";
  let from = 0;
  for (;;) {
    const atHead = lower.indexOf(head, from);
    const atTail = piece === form.length ? -1 : lower.indexOf(tail, from);
    if (atHead < 0 && atTail < 0) return from === 0 ? text : clean + text.slice(from);
    let [start, end] = [atHead, atHead + piece];
    if (atHead < 0 || (atTail >= 0 && atTail < atHead)) {
      [start, end] = [atTail, atTail + piece];
      for (let k = form.length - piece - 1; k >= 0 && start > from && lower[start - 1] === form[k]; k--) start--;
    } else for (let k = piece; k < form.length && lower[end] === form[k]; k++) end++;
    clean += `${text.slice(from, start)}[key]`;
    from = end;
  }
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
