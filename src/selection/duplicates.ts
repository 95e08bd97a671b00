import { hash as digest } from "node:crypto";
import type { ExampleFields } from "../dataset/example.ts";
import type { Check } from "./pick.ts";

/** A check that sees the candidate rows before picking begins. */
export interface LearningCheck extends Check {
  learn(row: number, example: ExampleFields): void;
}

/** Rejects rows whose instruction, input and output equal a kept row's, up to NFC form and surrounding white space. */
export function exactDuplicates(rowCount: number): LearningCheck {
  const keys = new Float64Array(rowCount);
  const kept = new Map<number, number>();
  return {
    learn(row, { instruction, input, output }) {
      const text = [instruction, input, output].map((field) => field.normalize("NFC").trim()).join("\0");
      keys[row] = Number.parseInt(digest("sha256", text).slice(0, 13), 16); // 52 bits: exact in a number, no clash in practice
    },
    reject(row) {
      const of = kept.get(keys[row]!);
      return of === undefined ? undefined : { reason: "duplicate", detail: { of } };
    },
    keep: (row) => void kept.set(keys[row]!, row),
  };
}
