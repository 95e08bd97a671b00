import type { Finish } from "../llm/reply.ts";
import type { Preference } from "../stats/outcomes.ts";
import { excerpt, isRefusal, plainCharacters, withoutThinking } from "./reply-text.ts";
import type { PairRubric } from "./rubric.ts";

/** What a reply says of two answers in the order they were shown, or why it says nothing that can be read. */
export type ReadVerdict =
  | {
      readonly state: "judged";
      readonly preference: Preference;
      readonly scores?: readonly [first: number, second: number];
    }
  | { readonly state: "refused" | "unparsable" | "truncated"; readonly detail: string };

/** Reads a judge's reply about a pair. What cannot be read for certain is `unparsable`, never a draw. */
export function readVerdict(text: string, finish: Finish, { reply }: Pick<PairRubric, "reply">): ReadVerdict {
  if (finish === "content-filter") return { state: "refused", detail: excerpt("filtered or declined", text) };
  const answer = withoutThinking(text, (before) => typeof readAnswer(before, "stop", reply) === "object");
  const read =
    answer === undefined
      ? "the reply ends within its reasoning"
      : answer.trim() === ""
        ? "the reply is empty"
        : readAnswer(answer, finish, reply);
  if (typeof read === "object") return { state: "judged", ...read };
  if (answer !== undefined && isRefusal(answer)) return { state: "refused", detail: excerpt("declined", answer) };
  return { state: finish === "length" ? "truncated" : "unparsable", detail: excerpt(read, answer ?? text) };
}

type Readable = Pick<Extract<ReadVerdict, { state: "judged" }>, "preference" | "scores">;

function readAnswer(text: string, finish: Finish, reply: PairRubric["reply"]): Readable | string {
  if (text.trim() === "") return "the reply is empty";
  return reply.format === "choice" ? readChoice(text, reply) : readTwoNumbers(text, finish, reply.scale);
}

/** The one mark that the reply holds, however often. */
function readChoice(
  text: string,
  marks: { readonly first: string; readonly second: string; readonly tie: string },
): Readable | string {
  const said = (
    [
      ["first", marks.first],
      ["second", marks.second],
      ["draw", marks.tie],
    ] as const
  ).filter(([, mark]) => text.includes(mark));
  if (said.length === 0) return "no verdict";
  return said.length === 1 ? { preference: said[0]![0] } : "more than one verdict";
}

const number = String.raw`(\d+(?:\.\d+)?)(?:\s*/\s*10)?`;
const label = String.raw`(?:(?:assistant|answer)\s*[1a]\s*:\s*)?`;
const otherLabel = String.raw`(?:(?:assistant|answer)\s*[2b]\s*:\s*)?`;
const twoNumbers = new RegExp(
  String.raw`^${label}${number}\s*(?:[,;/|&]|\band\b|\s)\s*${otherLabel}${number}\.?$`,
  "i",
);

/** The two scores on the first line that is not empty. */
function readTwoNumbers(
  text: string,
  finish: Finish,
  { min, max }: { readonly min: number; readonly max: number },
): Readable | string {
  const lines = plainCharacters(text).split(/\r\n|[\n\r]/);
  const at = lines.findIndex((one) => one.trim() !== "");
  const line = lines[at]!.replace(/[*_`#>]/g, "").trim();
  const [, one, other] = twoNumbers.exec(line) ?? [];
  if (one === undefined || other === undefined) return "no two scores on the first line";
  const isLast = lines.slice(at + 1).every((later) => later.trim() === "");
  if (finish === "length" && isLast) return "the reply ends at its scores";
  const scores = [Number(one), Number(other)] as const;
  if (!scores.every((score) => score >= min && score <= max))
    return `${one} ${other} is outside the scale from ${min} to ${max}`;
  return { scores, preference: scores[0] === scores[1] ? "draw" : scores[0] > scores[1] ? "first" : "second" };
}
