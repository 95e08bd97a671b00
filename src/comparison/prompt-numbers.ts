import { formatNumbered } from "../format.ts";
import type { PairVerdict } from "./verdict.ts";

type Asked = Pick<PairVerdict, "set" | "id" | "prompt" | "instruction" | "input" | "dialogues">;

/**
 * Numbers each verdict's prompt, from 0. Pairs that share a prompt are not independent: turns of a conversation, and prompts of one text,
 * whatever their ids and test sets.
 */
export function numberPrompts(verdicts: readonly Asked[]): Uint32Array {
  const numbers = new Map<string, number>();
  const parents: number[] = [];
  const rootOf = (number: number): number => {
    while (parents[number] !== number) number = parents[number]!;
    return number;
  };
  const numberOf = (name: string): number => {
    const known = numbers.get(name);
    if (known !== undefined) return rootOf(known);
    numbers.set(name, parents.length);
    parents.push(parents.length);
    return parents.length - 1;
  };
  const named = verdicts.map((verdict) => {
    const number = numberOf(nameOf(verdict));
    const text = textOf(verdict);
    if (text !== undefined) parents[Math.max(number, numberOf(text))] = Math.min(number, numberOf(text));
    return number;
  });
  const dense = new Map<number, number>();
  return Uint32Array.from(named, (number) => {
    const root = rootOf(number);
    if (!dense.has(root)) dense.set(root, dense.size);
    return dense.get(root)!;
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

/** The first question of a pair's conversation; undefined where it is not known. */
function textOf({ instruction = "", input = "", dialogues }: Asked): string | undefined {
  const [first] = dialogues?.[0] ?? [];
  const asked = first ? `${first.question.trim()}\0` : `${instruction.trim()}\0${input.trim()}`;
  return asked.replaceAll("\0", "") === "" ? undefined : `text\0${asked}`;
}
