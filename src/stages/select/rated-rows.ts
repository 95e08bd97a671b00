import { UsageError } from "../../errors.ts";
import type { Dataset } from "../../dataset/dataset.ts";
import { pairWithRatings, type RatedExample } from "../../dataset/rated-rows.ts";
import type { RatedManifest } from "../../run/manifest.ts";
import { readRatings, type RatingLine } from "../../run/ratings-file.ts";
import type { RunFolder } from "../../run/run-folder.ts";
import { findUnknownMark, listScores, quoteMarks, type RunScore } from "../../run/scores.ts";
import { openRowOrdering, type RowOrder } from "../../selection/by.ts";
import { mentions, uses } from "../../selection/sql-names.ts";
import type { NamedScores, RowsTableOptions } from "../../selection/rows-table.ts";
import { histogramOf, type Bin } from "../../stats/histogram.ts";
import type { SelectOptions } from "./plan.ts";

/** The rows of a run with what they are chosen by: their ratings, or the values of `--by` in place of the scores. */
export interface RatedRows {
  /** Each call is a new pass. */
  batches(): AsyncIterable<readonly RatedExample[]>;
  /** The ratings alone, which is faster. */
  ratings(): AsyncIterable<readonly RatingLine[]>;
  /** Hashes of the named scores that the choice depends on. */
  readonly scoreHashes: Readonly<Record<string, string>>;
  /** Of the values of `--by`. */
  readonly histogram?: readonly Bin[] | undefined;
}

/** @throws UsageError when `--by` is no valid expression */
export async function openRatedRows(
  options: SelectOptions,
  manifest: RatedManifest,
  dataset: Dataset,
  run: RunFolder,
): Promise<RatedRows> {
  const { ratingsHash } = manifest.rate;
  const all = usableScores(options, manifest, run);
  const by = options.by === undefined ? undefined : quoteMarks(options.by, all);
  const where = options.where === undefined ? undefined : quoteMarks(options.where, all);
  const pairs = () => pairWithRatings(dataset.batches(), run, ratingsHash);
  const lines = () => readRatings(run.ratingsPath, ratingsHash);
  const used = all.filter(
    ({ name, base }) => base !== "score" && [by, where].some((sql) => sql !== undefined && uses(sql, name)),
  );
  const scoreHashes = Object.fromEntries(used.map(({ base, summary }) => [base, summary.ratingsHash]));
  if (by === undefined) return { batches: pairs, ratings: lines, scoreHashes };
  const order = await orderRows(options.by!, options, manifest, dataset, run);
  return {
    scoreHashes,
    histogram: histogramOf(order.values),
    async *batches() {
      for await (const batch of pairs())
        yield batch.map(({ example, rating }) => ({ example, rating: inOrder(rating, order), own: rating }));
    },
    async *ratings() {
      for await (const batch of lines()) yield batch.map((rating) => inOrder(rating, order));
    },
  };
}

function usableScores({ scores }: Pick<SelectOptions, "scores">, manifest: RatedManifest, run: RunFolder): RunScore[] {
  return listScores(manifest, run).filter(({ base }) => !scores || base === "score" || scores.includes(base));
}

/** SQL over a run's rows as DuckDB takes it, and what it needs to know of the run. */
export function tableOptions(
  option: "--by" | "--where",
  sql: string,
  options: Pick<SelectOptions, "scores">,
  manifest: RatedManifest,
  run: RunFolder,
): Omit<RowsTableOptions, "option"> & { readonly sql: string } {
  const scores = usableScores(options, manifest, run);
  const quoted = quoteMarks(sql, scores);
  const unknown = findUnknownMark(quoted, scores);
  if (unknown)
    throw new UsageError(
      `${option}: expected a mark of ${unknown.base} (${unknown.marks.join(", ") || "it has none"}), got another in: ${sql.slice(0, 200)}${scores.some(({ name }) => name === unknown.base) || unknown.base === "score" ? `; the score itself is ${unknown.base}` : ""}`,
    );
  return {
    sql: quoted,
    scoreNames: scores.map(({ name }) => name),
    judgedBy: columnsJudgedBy(scores, manifest),
    hasUnreadable: (manifest.rate.states.unreadable ?? 0) > 0,
    scores: scores
      .filter(({ name }) => mentions(quoted, name))
      .map((score): NamedScores => ({ name: score.name, batches: () => score.values() })),
  };
}

/** Columns of the data whose values are the scores of the same name. */
function columnsJudgedBy(scores: readonly RunScore[], { rate }: RatedManifest): string[] {
  const named = (column: string) => scores.filter(({ name }) => name.toLowerCase() === column.toLowerCase());
  return [rate, ...scores.map(({ summary }) => summary)].flatMap(({ judge }) => {
    const [, column] = /^column:(.+)$/s.exec(judge) ?? [];
    return column !== undefined && named(column).every(({ summary }) => summary.judge === judge) ? [column] : [];
  });
}

async function orderRows(
  by: string,
  { scores, onProgress, signal }: SelectOptions,
  manifest: RatedManifest,
  dataset: Dataset,
  run: RunFolder,
): Promise<RowOrder> {
  const { rows } = manifest.dataset;
  const { sql, ...table } = tableOptions("--by", by, { scores }, manifest, run);
  await using ordering = await openRowOrdering(dataset, sql, { ...table, signal });
  const { learnRating } = ordering;
  let done = 0;
  if (learnRating) {
    for await (const batch of readRatings(run.ratingsPath, manifest.rate.ratingsHash)) {
      signal?.throwIfAborted();
      for (const rating of batch) learnRating(rating.index, rating);
    }
    return await ordering.evaluate(rows);
  }
  for await (const batch of pairWithRatings(dataset.batches(), run, manifest.rate.ratingsHash)) {
    signal?.throwIfAborted();
    for (const { example, rating } of batch) {
      const learnt = ordering.learn(example, rating);
      if (learnt) await learnt;
    }
    done += batch.length;
    onProgress?.({ stage: "select", doing: "ordering", done, total: rows, unit: "rows" });
  }
  return await ordering.evaluate(rows); // before the table is closed
}

/** A rating with the row's value in place of its score; a row without one is pending, with what it lacks. */
function inOrder({ index, id, hash, ...rating }: RatingLine, order: RowOrder): RatingLine {
  if (rating.state === "unreadable") return { index, id, hash, ...rating };
  const value = order.values[index]!;
  return Number.isNaN(value)
    ? { index, id, hash, state: "pending", detail: order.lackOf(index) }
    : { index, id, hash, state: "scored", score: value };
}
