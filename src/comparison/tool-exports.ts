import * as z from "zod";
import { dataErrorAt, type Place } from "../dataset/place.ts";
import type { Outcome } from "../stats/outcomes.ts";
import { pairKey } from "./agreement.ts";

/*
 * Labels of pairs as annotation tools export them, several people in one file:
 *
 * - Label Studio, as JSON: tasks with `data` and `annotations`, whose results are of the kind `pairwise` (selected: left or right) or
 *   `choices`;
 * - Argilla, as JSON: records with `fields`, `metadata` and `responses`.
 *
 * A pair is known by `id`, and `set` where there are several, in the task's data or the record's metadata. `left` there says whose answer stood
 * on the left: A (where it is left out), B, or an arm's name.
 */

/** One person's label of a pair. */
interface ToolLabel {
  readonly person: string;
  readonly pair: string;
  readonly outcome: Outcome;
}

const idSchema = z.union([z.string(), z.number()]);
const pairSchema = z.looseObject({ id: idSchema, set: z.string().optional(), left: z.string().optional() });

const labelStudioSchema = z.looseObject({
  data: z.record(z.string(), z.unknown()),
  annotations: z.array(
    z.looseObject({
      completed_by: z
        .union([idSchema, z.looseObject({ email: z.string().optional(), id: idSchema.optional() })])
        .optional(),
      was_cancelled: z.boolean().nullish(),
      result: z.array(
        z.looseObject({
          type: z.string(),
          value: z.looseObject({ selected: z.string().optional(), choices: z.array(z.string()).optional() }),
        }),
      ),
    }),
  ),
});

const argillaSchema = z.looseObject({
  fields: z.record(z.string(), z.unknown()),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  responses: z.record(
    z.string(),
    z.array(z.looseObject({ value: z.unknown(), user_id: z.string().nullish(), status: z.string().nullish() })),
  ),
});

/** Whether a row is one that an annotation tool exports. */
export function isToolExport(row: unknown): boolean {
  return labelStudioSchema.safeParse(row).success || argillaSchema.safeParse(row).success;
}

/** The labels in one task or record, of all people; none where nobody has finished it. @throws DataError at one that cannot be read */
export function readToolLabels(row: unknown, place: Place, arms: readonly [a: string, b: string]): ToolLabel[] {
  const task = labelStudioSchema.safeParse(row);
  if (task.success) {
    const { data, annotations } = task.data;
    const given = annotations.filter(({ was_cancelled: cancelled, result }) => cancelled !== true && result.length > 0);
    return given.map(({ completed_by: by, result }) => {
      const person = typeof by === "object" ? (by.email ?? String(by.id ?? "")) : String(by ?? "");
      const values = result.flatMap(({ type, value }) =>
        type === "pairwise" ? [value.selected] : type === "choices" ? [value.choices?.[0]] : [],
      );
      return { person, ...readLabel(data, values, place, arms) };
    });
  }
  const { fields, metadata, responses } = argillaSchema.parse(row);
  const names = Object.keys(responses);
  return Object.values(responses)
    .flat()
    .filter(({ status }) => status !== "discarded" && status !== "draft")
    .map(({ value, user_id: user }) => {
      if (names.length > 1)
        throw dataErrorAt(place, `expected one question, whose answer is better, got responses to ${names.join(", ")}`);
      return { person: user ?? "", ...readLabel({ ...fields, ...metadata }, [value], place, arms) };
    });
}

function readLabel(
  data: Readonly<Record<string, unknown>>,
  values: readonly unknown[],
  place: Place,
  [a, b]: readonly [a: string, b: string],
): Pick<ToolLabel, "pair" | "outcome"> {
  const pair = pairSchema.safeParse(data);
  if (!pair.success)
    throw dataErrorAt(
      place,
      `expected the pair's "id", and "set" where there are several, in the task's data or the record's metadata, got ${Object.keys(data).join(", ") || "nothing"}`,
    );
  const { id, set = "", left = "A" } = pair.data;
  const leftArm = [
    ["a", a.toLowerCase()],
    ["b", b.toLowerCase()],
  ].findIndex((names) => names.includes(left.toLowerCase()));
  if (leftArm < 0) throw dataErrorAt(place, `left: expected A, B, ${a} or ${b}, got ${JSON.stringify(left)}`);
  const meanings: Readonly<Record<string, Outcome>> = {
    left: leftArm === 0 ? "win" : "lose",
    right: leftArm === 0 ? "lose" : "win",
    a: "win",
    b: "lose",
    [a.toLowerCase()]: "win",
    [b.toLowerCase()]: "lose",
    tie: "tie",
    both: "tie",
    equal: "tie",
  };
  const outcome = values.length === 1 ? meanings[String(values[0]).toLowerCase()] : undefined;
  if (outcome === undefined)
    throw dataErrorAt(
      place,
      `expected one label of left, right, A, B, ${a}, ${b} or tie, got ${values.map((value) => JSON.stringify(value)).join(", ") || "none"}`,
    );
  return { pair: pairKey({ set, id: String(id) }), outcome };
}
