/*
 * What some models write before their answer, where their server leaves it in the text: in tags, in brackets or between tokens of their own.
 */

/** Tags that begin reasoning; in a judgement also further ones, which in other answers may be what was asked for. */
const sureNames = "think|thinking|reasoning";
const names = `${sureNames}|thoughts?|reasoning_process|scratchpad|reflection|inner_monologue`;

const finalChannel = String.raw`(?:<\|start\|>assistant)?<\|channel\|>final[^<\n]{0,100}(?:<\|constrain\|>\w{1,20})?<\|message\|>`;

function openingOf(tags: string, brackets: string): RegExp {
  return new RegExp(
    [
      String.raw`\s*<(?<tag>(?:[a-z]+:|longcat_)?(?:${tags}))>`,
      String.raw`\s*\[(?<bracket>${brackets})\]`,
      String.raw`\s*\[BEGIN (?<block>THINKING|REASONING)\](?=[^]*\[END (?:THINKING|REASONING)\])`,
      String.raw`\s*<\|(?:begin_of_|start_)?(?<token>thought|thinking|reasoning)\|>`,
      String.raw`\s*<\|inner_(?<inner>prefix)\|>`, // Apertus
      String.raw`\s*<\|channel>(?<gemma>thought|analysis)\b`,
      String.raw`\s*(?<plain>thought)\n(?=[^]*<channel\|>)`,
      String.raw`\s*(?<bare>analysis|commentary)(?=[A-Z"'(\n][^]*assistantfinal\s*\S)`, // gpt-oss where its tokens were left out
      String.raw`\s*Here(?: is|['’]s) my (?<granite>thought process):(?=[^]*Here(?: is|['’]s) my response:)`,
      String.raw`\s*◁(?<kimi>think)▷`,
      String.raw`\s*(?:<\|start\|>assistant)?<\|channel\|>(?<channel>analysis|commentary)[^<\n]{0,100}<\|message\|>`,
      String.raw`\s*(?<line>Thinking\.\.\.)[ \t]*\r?\n`,
    ].join("|"),
    "iy",
  );
}

const opening = openingOf(names, names);
const sureOpening = openingOf(sureNames, "think");

/** What ends reasoning whose beginning was left out. One after a quote is quoted. */
const closing = new RegExp(
  String.raw`(?<!["'\x60‘“])(?:</(?:[a-z]+:|longcat_)?(?:think|thinking|thoughts?|reasoning_process)>|\[/(?:${names})\]|<\|(?:end_of_|end_|/)(?:thought|thinking|reasoning)\|>|<\|inner_suffix\|>|◁/think▷|\.\.\.done thinking\.)`,
  "gi",
);
/** The end of reasoning whose beginning a chat template wrote. */
const sureClosing = /(?<!["'`‘“])<\/(?:think|thinking)>/i;
/** Tags in which some judges write all that they say. */
const weakOpening = /^\s*<(?:reflection|inner_monologue)>/i;
const anyOpening = /<(?:think|thinking)>/i;
/** A tag that opens a block of an answer, not one that is mentioned among words. */
const blockOpening =
  /^[ \t]*<(?:think|thinking)>|(?::|^[ \t]*(?:[-*]|\d+[.)]))[ \t]*<(?:think|thinking)>(?=\S)|<(?:think|thinking)>[ \t]*$/im;
/** The same in an item or after a colon, on the line before the end: on more lines it may be reasoning that mentions the tag. */
const blockInLine = /(?:^|:|(?:^|\n)[ \t]*(?:[-*]|\d+[.)]))[ \t]*<(?:think|thinking)>[^\n]*\n?[ \t]*$/i;

/** What ends reasoning, by what began it. */
const ends: Readonly<Record<string, (name: string) => string>> = {
  tag: (name) => `</${name}>`,
  bracket: (name) => String.raw`\[/${name}\]`,
  block: (name) => String.raw`\[END ${name}\]`,
  token: (name) => String.raw`<\|(?:end_of_|end_|/)${name}\|>`,
  inner: () => String.raw`<\|inner_suffix\|>`,
  gemma: () => String.raw`<channel\|>`,
  plain: () => String.raw`<channel\|>`,
  bare: () => "assistantfinal",
  granite: () => "Here(?: is|['’]s) my response:",
  kimi: () => "◁/think▷",
  channel: () => finalChannel,
  line: () => String.raw`\.\.\.done thinking\.`,
};

/** The end of reasoning that has begun so. */
function endOf(begun: Readonly<Record<string, string | undefined>>): RegExp {
  const [kind, name] = Object.entries(begun).find(([, said]) => said !== undefined)!; // one of them has matched
  return new RegExp(ends[kind]!(name!), "gi");
}

const answerMark = new RegExp(String.raw`^\s*(?:<\|begin_of_solution\|>|<\|START_RESPONSE\|>|${finalChannel})`);
const endMark = /<\|(?:end_of_solution|END_RESPONSE|end|return)\|>\s*$/;

/** A reply without its reasoning and where it begins in it, or why reasoning and answer cannot be told apart. */
export type Answer = { readonly answer: string; readonly start: number } | { readonly problem: string };

const unended = "the reply ends within its reasoning";

/** Where the text after reasoning at its head begins; undefined where that never ends. */
function afterHead(text: string, begins: RegExp): number | undefined {
  for (let from = 0; ;) {
    begins.lastIndex = from;
    const begun = begins.exec(text);
    if (!begun) return from;
    const end = endOf(begun.groups!);
    end.lastIndex = begins.lastIndex;
    if (end.test(text)) from = end.lastIndex;
    else if (isHeading(begun.groups!)) return from;
    else return undefined;
  }
}

/** Whether what begins may be a heading: `[Reasoning]` or `Thinking...`, but not a model's own `[THINK]`. */
function isHeading({ bracket, line }: Readonly<Record<string, string | undefined>>): boolean {
  return line !== undefined || (bracket !== undefined && bracket !== "THINK");
}

/**
 * Takes the reasoning off that stands before a judgement. Where only its end is there, what comes before is reasoning too, unless it is an
 * answer by itself and the end stands within a line: it is then something that the answer talks about.
 *
 * @param read what a text says as an answer; undefined where it is none
 * @param isWhole whether a text is an answer as a whole, such as JSON: what looks like an end of reasoning is then within it
 */
export function takeOffThinking(
  text: string,
  read: (text: string) => unknown,
  isWhole: (text: string) => boolean = () => false,
): Answer {
  let start = afterHead(text, opening);
  if (start !== undefined && text.slice(start).trim() === "" && weakOpening.test(text)) start = 0; // it holds the judgement itself
  if (start === undefined) return { problem: unended };
  closing.lastIndex = start;
  for (let end = closing.exec(text); end && !isWhole(text.slice(start)); end = closing.exec(text)) {
    const rest = closing.lastIndex;
    const before = read(text.slice(start, end.index));
    if (before === undefined) {
      start = rest;
      continue;
    }
    const after = read(text.slice(rest));
    if (after !== undefined && after !== before)
      return { problem: "the reply has one answer before its reasoning ends and another after it" };
    if (after === undefined && /^[ \t]*(?:[\r\n]|$)/.test(text.slice(rest, rest + 100)))
      return { problem: "the reply has no answer after its reasoning" };
    break;
  }
  const [mark = ""] = answerMark.exec(text.slice(start)) ?? [];
  start += mark.length;
  return { answer: text.slice(start).replace(endMark, ""), start };
}

/** A model's answer without the reasoning before it; empty where that never ends. Only what is reasoning for sure is taken off. */
export function withoutThinking(text: string): string {
  const from = afterHead(text, sureOpening);
  if (from === undefined) return "";
  const [mark = ""] = answerMark.exec(text.slice(from)) ?? [];
  const rest = text.slice(from + mark.length);
  if (mark !== "") return rest.replace(endMark, "");
  const end = sureClosing.exec(rest);
  if (!end) return rest;
  const [before, after] = [rest.slice(0, end.index), rest.slice(end.index + end[0].length)];
  return isTalkedAbout(before, after) ? rest : after;
}

/** Whether an answer speaks of a tag that closes: one that was opened in a block, or stands among the words of a sentence. */
function isTalkedAbout(before: string, after: string): boolean {
  const isAlone = /(?:^|\n)[ \t]*$/.test(before.slice(-100)) || /^[ \t]*(?:\r?\n|$)/.test(after.slice(0, 100));
  if (isAlone) return blockOpening.test(before) || blockInLine.test(before);
  if (anyOpening.test(before)) return true;
  const isAmongWords = /\S[ \t]+$/.test(before.slice(-100)) && /^(?:[ \t]+\S|[,.;:!?)])/.test(after.slice(0, 100));
  return isAmongWords && !/[.!?…]["')]?[ \t]+$/.test(before.slice(-100)) && !/^[ \t]*<answer/i.test(after);
}
