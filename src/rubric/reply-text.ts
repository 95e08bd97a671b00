import { tryParse } from "../files/try-parse.ts";
/*
 * Functions shared by the readers of replies.
 */

const refusal =
  /^\W*(i['’]m sorry|i am sorry|sorry[,.! ]|i can(['’]t|not| not)|i['’]m (not able|unable)|i am (not able|unable)|i won['’]t|as an ai)/i;

/** Whether a reply begins like a refusal to judge. */
export function isRefusal(text: string): boolean {
  return refusal.test(text);
}

/** A line that takes a judgement back. */
export const takenBack =
  /^\W*(?:sorry\W+)?(?:but\W+)?i (?:cannot|can['’]t|can not|am unable to|am not able to|refuse to|decline to) (?:judge|rate|score|grade|evaluate|compare|assess|decide|choose)(?: (?:this|these|those|them|it|that|between them|the (?:answers?|responses?)))?\W*$/i;

/** A reason, followed by the beginning of the reply. */
export function excerpt(why: string, text: string): string {
  const shown = text.trim().replace(/\s+/g, " ");
  return shown === "" ? why : `${why}: ${shown.length > 120 ? `${shown.slice(0, 120)}…` : shown}`;
}

/**
 * The reply without the reasoning that some models write before their answer; undefined when the reasoning never ends.
 *
 * @param isAnswer whether a text is a complete answer. Some servers send only the closing tag; if the text before it is
 *   an answer, the tag is part of what the answer talks about, and nothing is removed
 */
export function withoutThinking(text: string, isAnswer: (text: string) => boolean): string | undefined {
  const [, tag] = /^\s*<(think|thinking|reasoning)>/i.exec(text) ?? [];
  if (tag === undefined) {
    const end = /<\/(?:think|thinking)>/i.exec(text);
    return end && !isAnswer(text.slice(0, end.index)) ? text.slice(end.index + end[0].length) : text;
  }
  const end = text.toLowerCase().indexOf(`</${tag.toLowerCase()}>`);
  return end < 0 ? undefined : withoutThinking(text.slice(end + tag.length + 3), isAnswer);
}

/** Replaces full-width characters, such as digits, points, slashes and colons, by plain ones. */
export function plainCharacters(text: string): string {
  return text.replace(/[\uff01-\uff5e]/g, (character) => String.fromCharCode(character.charCodeAt(0) - 0xfee0));
}

/** A line without the marks of quotes and headings at its head. `>3` and `#1`, without a space, are none. */
export function withoutLineMarks(line: string): string {
  return line.replace(/^\s*(?:(?:>|#{1,6})\s+)+/, "");
}

/** Whether the outermost object of a JSON text has a field more than once: which of them is meant, nobody can tell. */
export function isRepeated(text: string, field: string): boolean {
  let depth = 0;
  let count = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"(?:\s*:)?|[{}[\]]/g)) {
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    else if (depth === 1 && token.endsWith(":") && tryParse(token.replace(/\s*:$/, "")) === field) count++;
  }
  return count > 1;
}

/** The fields of a reply that is one JSON object, also between lines of three backticks. */
export function parseFields(text: string): Readonly<Record<string, unknown>> | undefined {
  const [, fenced] = /^\s*```(?:json)?\s*\n([\s\S]*?)\n\s*```\s*$/i.exec(text) ?? [];
  const value = tryParse(fenced ?? text);
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined; // of JSON
}
