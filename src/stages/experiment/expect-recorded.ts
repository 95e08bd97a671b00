import { DataError, messageOf, UsageError } from "../../errors.ts";
import { openJudge } from "../../judge/open.ts";
import { uses } from "../../selection/sql-names.ts";
import { openData, type Context } from "./context.ts";
import { mostTried } from "./expect-expressions.ts";

/**
 * Lays recorded scores over the data before anything is paid: whether there is one for each row, and whether an arm goes by the score of a file
 * that has marks alone.
 *
 * @param rows how many the data has, where that is known
 * @throws UsageError with file, line and field
 */
export async function expectRecorded({ recipe, experiment }: Context, rows: number | undefined): Promise<void> {
  if (rows === undefined || rows > mostTried) return;
  const ratings = [
    ...(experiment.rating ? [{ ...experiment.rating, field: ["rate"], name: "score", isWhole: false }] : []),
    ...experiment.scores.map((score) => ({ ...score, field: ["scores", score.name], isWhole: true })),
  ];
  for (const { name, all, field, isWhole } of ratings)
    for (const judgeName of all.filter((one) => one.startsWith("recorded:"))) {
      const place = `${recipe.at([...field, "judge"])}: ${field.join(".")}.judge`;
      let marks: readonly string[] = [];
      let hasScore = false;
      try {
        const judge = await openJudge(judgeName, { isWhole });
        for await (const some of judge.rate((await openData(recipe)).batches()))
          hasScore ||= some.some(({ state }) => state === "scored");
        marks = judge.markNames ?? [];
      } catch (cause) {
        if (!(cause instanceof DataError || cause instanceof UsageError)) throw cause;
        throw new UsageError(`${place}: ${messageOf(cause)}`, { cause });
      }
      if (hasScore || marks.length === 0 || all.length > 1) continue;
      for (const [arm, { by, where }] of Object.entries(recipe.arms ?? {}))
        for (const [key, sql] of Object.entries({ by, where }))
          if (sql !== undefined && uses(sql, name))
            throw new UsageError(
              `${recipe.at(["arms", arm, key])}: arms.${arm}.${key}: expected a mark of ${name} (${marks.map((mark) => `${name}.${mark}`).join(", ")}), which has no score of its own, got ${name}`,
            );
    }
}
