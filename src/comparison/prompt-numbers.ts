import { formatNumbered } from "../format.ts";
import type { PairVerdict } from "./verdict.ts";

type Asked = Pick<PairVerdict, "set" | "id" | "prompt" | "instruction" | "input" | "dialogues">;

/**
 * Numbers each verdict's prompt, from 0. Pairs that share a prompt are not independent: turns of a conversation, and prompts of one text,
 * whatever their ids and test sets. Of a conversation, all of its questions are the text.
 */
export function numberPrompts(verdicts: readonly Asked[]): Uint32Array {
  const longest = new Map<string, { readonly turns: number; readonly text: string | undefined }>();
  const names = verdicts.map(nameOf);
  for (const [i, verdict] of verdicts.entries()) {
    const turns = verdict.dialogues?.[0].length ?? 0;
    if (turns >= (longest.get(names[i]!)?.turns ?? 0)) longest.set(names[i]!, { turns, text: textOf(verdict) });
  }
  const numbers = new Map<string, number>();
  return Uint32Array.from(names, (name) => {
    const key = longest.get(name)!.text ?? name; // every name was set above
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
function textOf({ instruction = "", input, dialogues }: Asked): string | undefined {
  if (input === undefined) return undefined;
  const questions = [...(dialogues?.[0].map(({ question }) => question) ?? []), instruction, input].map((text) =>
    text.trim(),
  );
  return questions.every((text) => text === "") ? undefined : `text\0${questions.join("\0")}`;
}
