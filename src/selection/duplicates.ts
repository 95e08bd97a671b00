import { hash as digest } from "node:crypto";
import { toolsBeside, type ExampleFields } from "../dataset/example.ts";
import type { Check } from "./pick.ts";

/** A check that sees the candidate rows before picking begins. */
export interface LearningCheck extends Check {
  learn(row: number, example: ExampleFields): void;
}

/** Rejects rows whose instruction, input, output and tools equal a kept row's, up to NFC form and surrounding white space. */
export function exactDuplicates(rowCount: number): LearningCheck {
  const keys = new Float64Array(rowCount);
  const more = new Uint32Array(rowCount); // further bits: among millions of rows, two of 52 bits may be the same by chance
  const kept = new Map<number, number>();
  return {
    learn(row, example) {
      const { instruction, input, output } = example;
      const texts = [instruction, input, output].map((field) => field.normalize("NFC").trim());
      const found = digest("sha256", JSON.stringify([...texts, toolsBeside(example)]));
      keys[row] = Number.parseInt(found.slice(0, 13), 16); // 52 bits: exact in a number
      more[row] = Number.parseInt(found.slice(13, 21), 16);
    },
    reject(row) {
      const of = kept.get(keys[row]!);
      return of === undefined || more[of] !== more[row] ? undefined : { reason: "duplicate", detail: { of } };
    },
    keep: (row) => void kept.set(keys[row]!, row),
  };
}
