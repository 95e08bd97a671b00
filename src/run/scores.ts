import { escapePattern } from "../escape-pattern.ts";
import type { Manifest } from "./manifest.ts";
import { readRatings, type RatingLine } from "./ratings-file.ts";
import type { RateSummary } from "./records/rating.ts";
import type { RunFolder } from "./run-folder.ts";

/** A further score of a run's rows: named (`rate --as quality`), or a mark beside one (`ds2.rarity`; `score.rarity` beside the run's own). */
export interface RunScore {
  readonly name: string;
  /** The score that it belongs to: its own name, without the mark's. */
  readonly base: string;
  readonly summary: RateSummary;
  readonly figures: Pick<RateSummary, "mean" | "histogram"> & { readonly rows?: number };
  /** The rows' values in the dataset's order; null where a row has none. Each call is a new pass. */
  values(): AsyncIterable<readonly (number | null)[]>;
}

/** All scores beside the run's own one, which SQL calls `score`. */
export function listScores({ rate, scores = {} }: Pick<Manifest, "rate" | "scores">, run: RunFolder): RunScore[] {
  const list: RunScore[] = [];
  const add = (base: string, path: string, summary: RateSummary, hasOwn: boolean): void => {
    const reader = (valueOf: (line: RatingLine) => number | null) => ({
      async *values() {
        for await (const lines of readRatings(path, summary.ratingsHash)) yield lines.map(valueOf);
      },
    });
    if (hasOwn)
      list.push({
        name: base,
        base,
        summary,
        figures: summary,
        ...reader((line) => (line.state === "scored" ? line.score : null)),
      });
    for (const [mark, figures] of Object.entries(summary.marks ?? {}))
      list.push({
        name: `${base}.${mark}`,
        base,
        summary,
        figures,
        ...reader(({ marks }) => (marks && Object.hasOwn(marks, mark) ? marks[mark]! : null)),
      });
  };
  if (rate) add("score", run.ratingsPath, rate, false);
  for (const [name, summary] of Object.entries(scores))
    add(name, run.scorePath(name), summary, summary.hasOnlyMarks !== true);
  return list;
}

/**
 * SQL with the names of marks as names of columns: `ds2.rarity` becomes `"ds2.rarity"`, as does `ds2."rarity"`. Texts between single
 * quotes stay.
 */
export function quoteMarks(sql: string, scores: readonly Pick<RunScore, "name" | "base">[]): string {
  const marks = new Map(
    scores.flatMap(({ name, base }) => (name === base ? [] : [[name.toLowerCase(), name] as const])),
  );
  const bases = new Set(scores.flatMap(({ name, base }) => (name === base ? [] : [base])));
  if (marks.size === 0) return sql;
  const longestFirst = [...marks.keys()].toSorted((a, b) => b.length - a.length);
  const names = longestFirst.map((name) => {
    const base = [...bases].find((other) => name.startsWith(`${other.toLowerCase()}.`))!;
    const said = name.slice(base.length + 1);
    const mark = escapePattern(said);
    const unquoted = /^[\p{L}\p{M}\p{N}_.]+$/u.test(said) ? String.raw`|${mark}(?![\w.(])` : ""; // of others, signs are SQL's
    return String.raw`(?:"${escapePattern(base)}"|${escapePattern(base)})\s*\.\s*(?:"${mark}"${unquoted})`;
  });
  const found = new RegExp(String.raw`'(?:[^']|'')*'|(?<![\w."])(${names.join("|")})|"(?:[^"]|"")*"`, "gi");
  return sql.replace(found, (text, mark: string | undefined) => {
    if (mark === undefined) return text; // a text, or the name of a column
    const plain = text.replaceAll('"', "").replace(/\s*\.\s*/, ".");
    return `"${(marks.get(plain.toLowerCase()) ?? plain).replaceAll('"', '""')}"`;
  });
}

/** The score, and its marks, of which SQL names one that there is not; undefined when there is no such. */
export function findUnknownMark(
  quoted: string,
  scores: readonly Pick<RunScore, "name" | "base">[],
): { readonly base: string; readonly marks: readonly string[] } | undefined {
  const names = new Set(scores.map((score) => `"${score.base.toLowerCase()}"`));
  const plain = quoted
    .replace(/'(?:[^']|'')*'/g, "''")
    .replace(/"(?:[^"]|"")*"/g, (name) => (names.has(name.toLowerCase()) ? name : '""'));
  const base = [...new Set(scores.map((score) => score.base))].find((name) =>
    new RegExp(String.raw`(?<![\w."])(?:"${escapePattern(name)}"|${escapePattern(name)})\s*\.`, "i").test(plain),
  );
  return base === undefined
    ? undefined
    : { base, marks: scores.filter((score) => score.base === base && score.name !== base).map(({ name }) => name) };
}
