/*
 * What some models write before their answer, where their server leaves it in the text: in tags, in brackets or between tokens of their own.
 */

const names = "think|thinking|thoughts?|reasoning|reasoning_process";

/** What begins reasoning at the head of a reply, after white space. */
const opening = new RegExp(
  [
    String.raw`\s*<(?<tag>(?:[a-z]+:)?(?:${names}))>`,
    String.raw`\s*\[(?<bracket>${names})\]`,
    String.raw`\s*<\|begin_of_(?<token>thought|thinking|reasoning)\|>`,
    String.raw`\s*◁(?<kimi>think)▷`,
    String.raw`\s*(?:<\|start\|>assistant)?<\|channel\|>(?<channel>analysis|commentary)[^<\n]{0,100}<\|message\|>`,
    String.raw`\s*(?<line>Thinking\.\.\.)[ \t]*\r?\n`,
  ].join("|"),
  "iy",
);

/** What ends reasoning whose beginning was left out. One after a quote is quoted. */
const closing = new RegExp(
  String.raw`(?<!["'\x60‘“])(?:</(?:[a-z]+:)?(?:think|thinking|thoughts?|reasoning_process)>|\[/(?:${names})\]|<\|end_of_(?:thought|thinking|reasoning)\|>|◁/think▷|\.\.\.done thinking\.)`,
  "gi",
);

function closingOf({ tag, bracket, token, kimi, channel }: Readonly<Record<string, string | undefined>>): string {
  if (tag !== undefined) return `</${tag}>`;
  if (bracket !== undefined) return `[/${bracket}]`;
  if (token !== undefined) return `<|end_of_${token}|>`;
  if (kimi !== undefined) return "◁/think▷";
  return channel === undefined ? "...done thinking." : "<|channel|>final<|message|>";
}

/** A reply without its reasoning and where it begins in it, or why reasoning and answer cannot be told apart. */
export type Answer = { readonly answer: string; readonly start: number } | { readonly problem: string };

/**
 * Takes the reasoning off that stands before an answer. Where only its end is there, what comes before is reasoning too, unless it is an
 * answer by itself: the end is then something that the answer talks about.
 *
 * @param read what a text says as an answer; undefined where it is none
 */
export function takeOffThinking(text: string, read: (text: string) => unknown): Answer {
  const lower = text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()); // keeps every place
  let from = 0;
  for (;;) {
    opening.lastIndex = from;
    const begun = opening.exec(text);
    if (!begun) break;
    const close = closingOf(begun.groups!).toLowerCase();
    const end = lower.indexOf(close, opening.lastIndex);
    if (end < 0 && begun.groups!["line"] !== undefined) break; // a line that anybody may write
    if (end < 0) return { problem: "the reply ends within its reasoning" };
    from = end + close.length;
  }
  let start = from;
  closing.lastIndex = from;
  for (let end = closing.exec(text); end; end = closing.exec(text)) {
    const rest = closing.lastIndex;
    const before = read(text.slice(start, end.index));
    if (before === undefined) {
      start = rest;
      continue;
    }
    const after = read(text.slice(rest));
    if (after === undefined || after === before) break;
    return { problem: "the reply has one answer before its reasoning ends and another after it" };
  }
  const [mark = ""] = /^\s*(?:<\|begin_of_solution\|>|<\|channel\|>final<\|message\|>)/.exec(text.slice(start)) ?? [];
  start += mark.length;
  return { answer: text.slice(start).replace(/<\|(?:end_of_solution|end|return)\|>\s*$/, ""), start };
}

/** A text without the reasoning before it, for those who read no answer from it; empty where the reasoning never ends. */
export function withoutThinking(text: string): string {
  const found = takeOffThinking(text, () => undefined);
  return "problem" in found ? "" : found.answer;
}
