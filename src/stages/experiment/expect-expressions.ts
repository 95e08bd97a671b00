import { openDuckDb } from "../../dataset/duckdb.ts";
import { UsageError } from "../../errors.ts";
import type { ExperimentRecipe } from "../../experiment/recipe.ts";
import type { NamedRating } from "../../experiment/resolve.ts";
import { openJudge } from "../../judge/open.ts";
import { readServedMeasure } from "../../likelihood/measure-name.ts";
import { isModelName } from "../../llm/model-name.ts";
import { openRubric } from "../../rubric/open-rubric.ts";
import { markNames } from "../../rubric/read-marks.ts";
import { quoteMarks } from "../../run/scores.ts";
import { evaluateOrder } from "../../selection/by.ts";
import { mentionsScore } from "../../selection/sql-names.ts";
import { factNames } from "../../selection/fact-columns.ts";
import type { NamedScores } from "../../selection/rows-table.ts";
import { expectOneExpression, listColumns } from "../../selection/sql-expression.ts";
import { evaluateCondition } from "../../selection/where.ts";
import { openData, type Context } from "./context.ts";

/** SQL of an arm. */
interface ArmSql {
  readonly field: "by" | "where";
  readonly sql: string;
  /** File, line and field, for messages. */
  readonly place: string;
}

const lookedAt = 1000; // rows
export const mostTried = 200_000; // rows of data that are looked through before anything is paid

/**
 * Checks the SQL of a recipe's arms before anything is paid: its names, and, where the data is not too large, all of it on the data, with no
 * row scored yet.
 *
 * @param rows how many the data has, where that is known
 * @throws UsageError when SQL names what is neither a column, a fact about rows nor a score, or DuckDB cannot evaluate it
 */
export async function expectExpressions({ recipe, experiment }: Context, rows: number | undefined): Promise<void> {
  const all = Object.entries(recipe.arms ?? {}).flatMap(([arm, settings]) =>
    (["by", "where"] as const).flatMap((field): ArmSql[] => {
      const sql = settings[field];
      return sql === undefined
        ? []
        : [{ field, sql, place: `${recipe.at(["arms", arm, field])}: arms.${arm}.${field}` }];
    }),
  );
  if (all.length === 0) return;
  const marks = new Map<string, readonly string[]>();
  let hasUnknownMarks = (experiment.rating?.all.length ?? 0) > 1 && all.some(({ sql }) => /\bscore"?\s*\./i.test(sql));
  const own = experiment.rating?.all.length === 1 ? [{ name: "score", ...experiment.rating }] : []; // several may give other marks
  for (const score of [...own, ...experiment.scores])
    if (all.some(({ sql }) => mentionsScore(sql, score.name))) {
      const names = await marksOf(score, score.name !== "score"); // the run's own rating takes no further columns
      if (names) marks.set(score.name, names);
      else hasUnknownMarks = true;
    }
  const scores = experiment.scores.map(({ name }) => name);
  await expectNames(all, recipe, scores, marks);
  if (hasUnknownMarks || rows === undefined || rows > mostTried) return;
  await tryExpressions(all, recipe, scores, marks, judgedBy(experiment.rating, experiment.scores));
}

/** Columns that scores of their names are taken from. */
function judgedBy(rating: Context["experiment"]["rating"], scores: readonly NamedRating[]): string[] {
  const columns = [
    ...(rating?.judges ?? []),
    ...scores.filter(({ name, judges }) => judges[0] === `column:${name}`).flatMap(({ judges }) => judges),
  ].flatMap((judge) => /^column:(.+)$/s.exec(judge)?.[1] ?? []);
  return columns.filter((column) =>
    scores.every(({ name, judges }) => name.toLowerCase() !== column.toLowerCase() || judges[0] === `column:${column}`),
  );
}

async function expectNames(
  all: readonly ArmSql[],
  recipe: ExperimentRecipe,
  scores: readonly string[],
  marks: ReadonlyMap<string, readonly string[]>,
): Promise<void> {
  const known = new Set([...factNames, "source", "rows", "facts"]);
  let rows = 0;
  for await (const batch of (await openData(recipe)).batches()) {
    for (const { row } of batch) for (const column of Object.keys(row)) known.add(column.toLowerCase());
    if ((rows += batch.length) >= lookedAt) break;
  }
  const columns = [...known];
  for (const column of columns) for (const prefix of ["data_", "rating_"]) known.add(`${prefix}${column}`);
  for (const score of scores)
    for (const prefix of ["", "rating_", "data_"]) known.add(`${prefix}${score}`.toLowerCase());
  await using database = await openDuckDb();
  for (const { sql, place } of all) {
    await expectOneExpression(database.connection, sql, place);
    const named = (await listColumns(database.connection, sql)) ?? [];
    const unknown = named.find(
      (parts) => !known.has(parts[0]!.toLowerCase()) && !known.has(parts.join(".").toLowerCase()),
    );
    for (const [first = "", ...rest] of named) {
      const own = [...marks.keys()].find((name) => name.toLowerCase() === first.toLowerCase());
      const those = rest.length === 0 || own === undefined ? undefined : marks.get(own);
      if (those && !those.some((mark) => mark.toLowerCase() === rest.join(".").toLowerCase()))
        throw new UsageError(
          `${place}: expected a mark of ${first} (${those.join(", ") || "it has none"}), got ${rest.join(".")}`,
        );
    }
    if (unknown)
      throw new UsageError(
        `${place}: expected columns of the data, ${factNames.join(", ")} or scores of the recipe (${scores.join(", ") || "it has none"}), got ${unknown.join(".")}`,
      );
  }
}

/** Evaluates all on the data. Scores are null, so that no value of theirs can be the reason of a failure. */
async function tryExpressions(
  all: readonly ArmSql[],
  recipe: ExperimentRecipe,
  scores: readonly string[],
  marks: ReadonlyMap<string, readonly string[]>,
  taken: readonly string[],
): Promise<void> {
  const dataset = await openData(recipe);
  let count = 0;
  const columns: { readonly name: string; readonly base: string }[] = [
    ...scores.map((name) => ({ name, base: name })),
    ...[...marks].flatMap(([base, those]) => those.map((mark) => ({ name: `${base}.${mark}`, base }))),
  ];
  const empty = columns.map(({ name }): NamedScores => ({
    name,
    async *batches() {
      yield Array<null>(count).fill(null);
    },
  }));
  const quoted = all.map((one) => ({ ...one, sql: quoteMarks(one.sql, columns) }));
  const options = { option: quoted[0]!.place, scores: empty, scoreNames: columns.map(({ name }) => name) };
  const { openRowsTable } = await import("../../selection/rows-table.ts"); // with DuckDB
  await using table = await openRowsTable(dataset, {
    ...options,
    judgedBy: taken,
    hasUnreadable: recipe.unreadable === "skip",
  });
  for await (const batch of dataset.batches()) {
    for (const example of batch) {
      const written = table.learn(example, { state: "pending" });
      if (written) await written;
    }
    count += batch.length;
  }
  const connection = await table.make(count, ...quoted.map(({ sql }) => sql));
  for (const { field, sql, place } of quoted)
    if (field === "by") await evaluateOrder(connection, sql, count, { ...options, option: place });
    else {
      const passing = await evaluateCondition(connection, sql, count, { ...options, option: place });
      const isOfScores = ["score", "state", ...scores].some((name) => mentionsScore(sql, name));
      if (!isOfScores && !passing.includes(1))
        throw new UsageError(
          `${place}: expected a condition that some row meets, got one that none of the data's does`,
        );
    }
}

/** The marks that a score will have: of a rubric's reply, or of a file's columns. Undefined where that is not known before. */
async function marksOf(
  { judges: [judge = ""], rubric }: Pick<NamedRating, "judges" | "rubric">,
  isWhole: boolean,
): Promise<readonly string[] | undefined> {
  if (isModelName(judge)) return markNames(await openRubric(rubric));
  if (readServedMeasure(judge)) return [];
  return judge.startsWith("run:") ? undefined : ((await openJudge(judge, { isWhole })).markNames ?? []);
}
