import type { PairVerdict } from "./verdict.ts";

/** Numbers each verdict's prompt, from 0. Pairs that share a prompt, such as turns of a conversation, are not independent. */
export function numberPrompts(verdicts: readonly Pick<PairVerdict, "set" | "id" | "prompt">[]): Uint32Array {
  const numbers = new Map<string, number>();
  return Uint32Array.from(verdicts, ({ set, id, prompt }) => {
    const name = `${set}\0${prompt ?? id}`;
    const number = numbers.get(name) ?? numbers.size;
    numbers.set(name, number);
    return number;
  });
}
