import type { Preference } from "../stats/outcomes.ts";

/** What one of Arena-Hard's labels says of two answers, in the order they were shown. */
export interface Grade {
  readonly preference: Preference;
  /** How strongly the first answer is preferred: 1, 0.5 or 0. */
  readonly graded: number;
  /** Whether the better answer is clearly better. */
  readonly isClear: boolean;
}

/** Reads a label: `A>B`, `B>>A`, `A=B`, or turned round, as `A<<B`. Undefined for anything else. */
export function readGrade(label: string): Grade | undefined {
  const [, left, sign, right] = /^([AB])(>>|>|=|<<|<)([AB])$/.exec(label) ?? [];
  if (left === undefined || sign === undefined || left === right) return undefined;
  if (sign === "=") return { preference: "draw", graded: 0.5, isClear: false };
  const isFirst = (left === "A") === sign.startsWith(">");
  return { preference: isFirst ? "first" : "second", graded: isFirst ? 1 : 0, isClear: sign.length === 2 };
}

/** A label in a reply, with the text around it and the labels before it. */
export interface FoundLabel {
  readonly label: string;
  readonly before: string;
  readonly after: string;
  readonly others: readonly string[];
}

/** The last label in a reply, as Arena-Hard finds it: in double brackets, else in single ones. */
export function findLabel(text: string): FoundLabel | undefined {
  for (const pattern of [/\[\[([AB<>=]+)\]\]/gi, /\[([AB<>=]+)\]/gi]) {
    const all = [...text.matchAll(pattern)];
    const last = all.at(-1);
    if (last)
      return {
        label: last[1]!.toUpperCase(),
        before: text.slice(0, last.index),
        after: text.slice(last.index + last[0].length),
        others: all.slice(0, -1).map((match) => match[1]!.toUpperCase()),
      };
  }
  return undefined;
}
