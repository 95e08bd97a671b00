import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Dataset } from "../dataset/dataset.ts";
import { RunError, UsageError } from "../errors.ts";
import { formatCount, formatNumbered } from "../format.ts";
import type { Judge } from "../judge/judge.ts";
import type { Part } from "../judge/part.ts";
import type { Shard } from "../judge/shard.ts";
import { readRatings } from "../run/ratings-file.ts";
import { createHash } from "node:crypto";
import { openDuckDb, sqlText } from "../dataset/duckdb.ts";
import { hashExample } from "../dataset/example.ts";
import { describeQuestion } from "../run/describe-question.ts";
import type { Manifest, RatedManifest } from "../run/manifest.ts";
import { realFolder, recordedPath } from "../run/recorded-path.ts";
import type { DatasetRecord } from "../run/records/dataset.ts";
import type { RateSummary } from "../run/records/rating.ts";
import { runFolder } from "../run/run-folder.ts";
import { factNames } from "../selection/fact-columns.ts";

/** @throws UsageError when SQL could not use it as a name, or it means something else there */
export async function expectScoreName(name: string): Promise<void> {
  const taken = [...factNames, "source", "rows", "facts", "zscore", "percentile", "rank"];
  if (!/^[a-z_]\w{0,63}$/i.test(name))
    throw new UsageError(
      `--as: expected a name of letters, digits and "_" for --by and --where, got ${JSON.stringify(name)}`,
    );
  await using database = await openDuckDb();
  const read = await database.connection.runAndReadAll(`SELECT json_serialize_sql(${sqlText(`SELECT (${name})`)})`);
  const isColumn = /"select_list":\[\{"class":"COLUMN_REF"/.test(String(read.getRows()[0]![0])); // not a word of SQL's own
  if (taken.includes(name.toLowerCase()) || name in {} || /^(data|rating)_/i.test(name) || !isColumn)
    throw new UsageError(
      `--as: expected a name that is no word of SQL and no column of --by and --where, got ${JSON.stringify(name)}`,
    );
}

/** @throws RunError when the run's rows have no ratings of its own yet, UsageError when several judges rate */
export function expectRated(
  previous: RatedManifest | undefined,
  name: string,
  { run, judge }: { readonly run: string; readonly judge: Judge },
): void {
  const other = Object.keys(previous?.scores ?? {}).find(
    (known) => known !== name && known.toLowerCase() === name.toLowerCase(),
  );
  if (other !== undefined)
    throw new UsageError(`--as ${name}: expected a name that differs from ${other} by more than capital letters`);
  if (judge.panel || judge.escalating)
    throw new UsageError(`--as ${name}: expected one judge, got ${judge.name}; give each its own name`);
  if (!previous)
    throw new RunError(
      `${run}: expected rows that are rated, found none; rate them first without --as: that is the run's own score, "score" in --by`,
    );
}

/** @throws RunError when the run's ratings are of other data, by another judge, or to another question */
export async function expectSameQuestion(
  dataset: DatasetRecord,
  rated: RateSummary | undefined,
  asked: Dataset,
  { run, judge, as: name }: { readonly run: string; readonly judge: Judge; readonly as?: string | undefined },
): Promise<void> {
  const advice =
    name === undefined
      ? "use another run with --run DIR, or replace it with --overwrite"
      : "give it another name, or replace it with --overwrite";
  if (!isSameData(dataset, asked, run) && (await hashRows(asked)) !== dataset.hash) {
    throw new RunError(
      `${run}: holds ratings of ${nameOf(dataset, asked, run)} (${formatCount(dataset.rows)} rows), not of ${asked.source}; ${name === undefined ? advice : "use another run with --run DIR"}`,
    );
  }
  if (!rated) return;
  const isSameQuestion = judge.question !== undefined && rated.question?.hash === judge.question.hash; // servers of a model may change
  const what = name === undefined ? "ratings" : `the score ${name}`;
  if (rated.judge !== judge.name && !isSameQuestion)
    throw new RunError(`${run}: holds ${what} by ${rated.judge}, not by ${judge.name}; ${advice}`);
  const isUnknown = rated.question === undefined && judge.calls === undefined; // ratings that a run took over before it kept their question
  if (!isUnknown && (judge.question ?? rated.question) && rated.question?.hash !== judge.question?.hash)
    throw new RunError(
      `${run}: holds ${what} to another question (${describeQuestion(rated.question)}, not ${describeQuestion(judge.question)}); ${advice}`,
    );
}

/**
 * Ratings are not replaced by another judge's: not by those that another command has written since this one began, either.
 *
 * @param before the ratings as this command found them
 * @throws RunError when the run now holds another judge's, or those of other data
 */
export async function expectUnchanged(
  before: RateSummary | undefined,
  latest: Manifest | undefined,
  asked: Dataset,
  options: { readonly run: string; readonly judge: Judge; readonly as?: string | undefined },
): Promise<void> {
  const now = options.as === undefined ? latest?.rate : latest?.scores?.[options.as];
  if (!latest?.dataset || !now || now.ratingsHash === before?.ratingsHash) return;
  try {
    await expectSameQuestion(latest.dataset, now, asked, options);
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    throw new RunError(
      `${error.message}; another command wrote them while this one ran, whose ratings were not kept (replies of models are in the store)`,
      {
        cause: error,
      },
    );
  }
}

/** @throws RunError when the run has ratings of all rows and a part is to be rated, or the other way round */
export function expectSameShard(
  rated: RateSummary | undefined,
  { run, shard }: { readonly run: string; readonly shard?: Shard | undefined },
): void {
  if (!rated) return;
  const describe = (one: Shard | undefined) => (one ? `shard ${one.index} of ${one.of}` : "all rows");
  const held = rated.limit ? `${formatCount(rated.limit.rows)} rows (--limit)` : describe(rated.shard);
  if (describe(rated.shard) !== describe(shard))
    throw new RunError(`${run}: holds ratings of ${held}, not of ${describe(shard)}; use another run with --run DIR`);
}

/** @throws RunError when the run has a score of a row that is not to be rated, which would be replaced by none */
export async function expectNoMore(
  { ratingsHash }: RateSummary,
  ratingsPath: string,
  part: Part,
  run: string,
): Promise<void> {
  let others = 0;
  try {
    for await (const lines of readRatings(ratingsPath, ratingsHash))
      for (const { index, state } of lines) if (state === "scored" && !part.isIn(index)) others++;
  } catch (error) {
    if (!(error instanceof RunError)) throw error; // they were changed, so that none can be relied on
  }
  if (others > 0)
    throw new RunError(
      `${run}: holds scores of ${formatNumbered(others, "row", "rows")} that ${part.option} would leave out; leave out the option, give a larger number, or use another run with --run DIR`,
    );
}

/**
 * Whether data are those that a run was rated on: the same sources, as seen from where each was typed; or files that are gone, or that
 * came, but not both: others may have come in the place of those that are gone. What is on the Hub is known by its name. False where nothing is left: the rows decide then.
 */
export function isSameData(recorded: DatasetRecord, asked: Dataset, run: string): boolean {
  const before = recorded.sources?.map(({ source }) => source) ?? [recorded.source];
  const now = asked.pool?.map(({ source }) => source) ?? [asked.source];
  const origin = recorded.workingFolder === undefined ? "." : join(realFolder(resolve(run)), recorded.workingFolder);
  const isSameSource = (source: string, other: string | undefined): boolean => {
    if (other === undefined || isOnHub(source) || isOnHub(other)) return source === other;
    const path = resolve(origin, source); // not another one of that name here
    return existsSync(path) && realFolder(path) === realFolder(resolve(other));
  };
  if (before.length === now.length && before.every((source, i) => isSameSource(source, now[i]))) return true;
  if (before.filter(isOnHub).join("\0") !== now.filter(isOnHub).join("\0")) return false;
  const paths = new Set(asked.files.map(({ path }) => realFolder(resolve(path))));
  const files = recorded.files.map(({ path }) => resolve(origin, path));
  const left = new Set(files.filter((path) => existsSync(path)).map(realFolder));
  if (left.size === 0 || [...left].some((path) => !paths.has(path))) return false;
  return left.size === new Set(files).size || paths.size === left.size;
}

function isOnHub(source: string): boolean {
  return source.startsWith("hf:");
}

/** The source of a run's data; as seen from here where it would read like the other. */
function nameOf({ source, workingFolder }: DatasetRecord, asked: Dataset, run: string): string {
  return source === asked.source ? recordedPath(source, runFolder(run), workingFolder) : source;
}

/** SHA-256 over the hashes of all rows, in order, as the manifest keeps it. */
export async function hashRows(dataset: Dataset): Promise<string> {
  const identity = createHash("sha256");
  for await (const batch of dataset.batches()) for (const example of batch) identity.update(hashExample(example));
  return identity.digest("hex");
}

export function otherRows(run: string): RunError {
  return new RunError(
    `${run}: expected the rows that were rated, got others (edited since, or read otherwise: --map, --shape, --quotes, --unreadable); rate them again without --as first`,
  );
}
