import { findAnswer } from "./read-score.ts";
import { isRepeated, parseFields } from "./reply-text.ts";
import type { Rubric } from "./rubric.ts";

/** The names of a rubric's marks: the numbers of its reply's schema beside the score. */
export function markNames({ reply }: Pick<Rubric, "reply">): readonly string[] {
  if (reply.format !== "json") return [];
  const properties = (reply.schema?.["properties"] ?? {}) as Record<string, { readonly type?: unknown } | undefined>; // a JSON schema
  return Object.entries(properties).flatMap(([name, property]) =>
    name !== reply.score && (property?.type === "integer" || property?.type === "number") ? [name] : [],
  );
}

/** The marks in a reply whose score was read. One that is no number, given twice, or not on the rubric's scale, is left out. */
export function readMarks(
  text: string,
  rubric: Pick<Rubric, "reply" | "scale">,
): Readonly<Record<string, number>> | undefined {
  const names = markNames(rubric);
  if (names.length === 0) return undefined;
  const found = findAnswer(text, rubric);
  const answer = found && "answer" in found ? found.answer : "";
  const fields = parseFields(answer);
  if (!fields) return undefined;
  const { min, max, step } = rubric.scale;
  const isOnScale = (mark: number) => {
    const steps = (mark - min) / (step ?? 1);
    return mark >= min && mark <= max && (step === undefined || Math.abs(steps - Math.round(steps)) < 1e-9);
  };
  const marks = names.flatMap((name): [string, number][] => {
    const given = Object.hasOwn(fields, name) && !isRepeated(answer, name) ? fields[name] : undefined;
    const mark = typeof given === "string" && /^\s*[-+]?\d+(?:\.\d+)?\s*$/.test(given) ? Number(given) : given;
    return typeof mark === "number" && isOnScale(mark) ? [[name, mark]] : [];
  });
  return marks.length === 0 ? undefined : Object.fromEntries(marks);
}

/** The mean of each mark over the replies that have it. */
export function meanMarks(
  replies: readonly (Readonly<Record<string, number>> | undefined)[],
): Readonly<Record<string, number>> | undefined {
  const values = Map.groupBy(
    replies.flatMap((marks) => Object.entries(marks ?? {})),
    ([name]) => name,
  );
  if (values.size === 0) return undefined;
  return Object.fromEntries(
    [...values].map(([name, all]) => [name, all.reduce((sum, [, mark]) => sum + mark, 0) / all.length]),
  );
}
