import type { PairVerdict } from "./verdict.ts";

/** Which prompt each verdict is about, as numbers from 0: pairs of one prompt, such as the turns of a conversation, depend on each other. */
export function numberPrompts(verdicts: readonly Pick<PairVerdict, "set" | "id" | "prompt">[]): Uint32Array {
  const numbers = new Map<string, number>();
  return Uint32Array.from(verdicts, ({ set, id, prompt }) => {
    const name = `${set}\0${prompt ?? id}`;
    const number = numbers.get(name) ?? numbers.size;
    numbers.set(name, number);
    return number;
  });
}
