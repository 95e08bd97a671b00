import { formatNumbered } from "../format.ts";
import type { PairVerdict } from "./verdict.ts";

type Asked = Pick<PairVerdict, "set" | "id" | "prompt" | "instruction" | "input" | "dialogues">;

/**
 * Numbers each verdict's prompt, from 0. Pairs that share a prompt are not independent: turns of a conversation, and prompts of one text,
 * whatever their ids and test sets. A prompt that a conversation begins with is one with it; conversations that only begin alike are not.
 */
export function numberPrompts(verdicts: readonly Asked[]): Uint32Array {
  const names = verdicts.map(nameOf);
  const asked = new Map<string, readonly string[] | undefined>(); // by name: the questions of its longest conversation
  for (const [i, verdict] of verdicts.entries()) {
    const questions = questionsOf(verdict);
    if ((questions?.length ?? 0) >= (asked.get(names[i]!)?.length ?? 0)) asked.set(names[i]!, questions);
  }
  const keys = new Map<string, string>(); // by name
  const known = new Map<string, string>(); // by questions so far: the key of the first conversation that has them
  const longestFirst = [...asked].toSorted(([, a], [, b]) => (b?.length ?? 0) - (a?.length ?? 0));
  for (const [name, questions] of longestFirst) {
    if (!questions) continue;
    const whole = questions.join("\u0001");
    const key = known.get(whole) ?? whole;
    keys.set(name, key);
    for (let turns = 1; turns <= questions.length; turns++) {
      const soFar = questions.slice(0, turns).join("\u0001");
      if (!known.has(soFar)) known.set(soFar, key);
    }
  }
  const numbers = new Map<string, number>();
  return Uint32Array.from(names, (name) => {
    const key = keys.get(name) ?? name;
    const number = numbers.get(key) ?? numbers.size;
    numbers.set(key, number);
    return number;
  });
}

/** What intervals and tests count as one prompt, for the notes. */
export function describeShared(verdicts: readonly Asked[]): string[] {
  const names = new Set(verdicts.map(nameOf)).size;
  const repeats = names - new Set(numberPrompts(verdicts)).size;
  return [
    ...(names < verdicts.length ? ["the turns of one conversation count as one prompt in intervals and tests"] : []),
    ...(repeats > 0
      ? [
          `${formatNumbered(repeats, "prompt has", "prompts have")} the text of another one: prompts of one text count as one in intervals and tests`,
        ]
      : []),
  ];
}

function nameOf({ set, id, prompt }: Asked): string {
  return `id\0${set}\0${prompt ?? id}`;
}

/** All questions of a pair's conversation; undefined where they are not known whole, as of published reviews, which leave inputs out. */
function questionsOf({ instruction = "", input, dialogues }: Asked): readonly string[] | undefined {
  if (input === undefined) return undefined;
  const before = dialogues?.[0].map(({ question }) => `${question.trim()}\0`) ?? [];
  const questions = [...before, `${instruction.trim()}\0${input.trim()}`];
  return questions.every((question) => question === "\0") ? undefined : questions;
}
