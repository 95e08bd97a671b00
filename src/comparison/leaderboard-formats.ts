import type { Row } from "../dataset/example.ts";
import { UsageError } from "../errors.ts";
import { tryParse } from "../files/try-parse.ts";
import type { Outcome } from "../stats/outcomes.ts";
import { isSame, type PairVerdict, type Side, type Verdict } from "./verdict.ts";

/*
 * Verdicts as the tools of leaderboards read them. A is the model, B the baseline.
 */

/** Whose verdicts they are. */
export interface JudgedNames {
  readonly a: string;
  readonly b: string;
  readonly judge: string;
}

/**
 * AlpacaEval's `annotations.json`: `preference` is 1 where the baseline's output is better, 2 where the model's is, and between them by how
 * strongly the judge prefers it. Without graded preferences it is 1, 1.5 or 2 by the pair's outcome; null for an undecided pair.
 */
export function toAlpacaEvalAnnotations(verdicts: readonly PairVerdict[], { a, b, judge }: JudgedNames): string {
  const rows = verdicts.map(({ set, instruction = "", input = "", answers, outcome, preference }) => ({
    dataset: set,
    instruction: input === "" ? instruction : `${instruction}\n\n${input}`,
    output_1: answers?.[1],
    generator_1: b,
    output_2: answers?.[0],
    generator_2: a,
    annotator: judge,
    preference: outcome === "undecided" ? null : 1 + (preference ?? shares[outcome]),
  }));
  return `${JSON.stringify(rows, null, 2)}\n`;
}

/** Whether a text is what `toAlpacaEvalAnnotations` wrote of the same models by the same judge: others may have been paid for elsewhere. */
export function areAnnotations(text: string, { a, b, judge }: JudgedNames): boolean {
  const rows = tryParse(text);
  const names = { generator_1: b, generator_2: a, annotator: judge };
  return Array.isArray(rows) && rows.every((row: unknown) => hasOnly(row, annotationFields, names));
}

/** The same of `toArenaHardJudgments`. */
export function areJudgments(text: string, { a, b, judge }: JudgedNames): boolean {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.every((line) => {
    const row = tryParse(line);
    if (!hasOnly(row, judgmentFields, { model: a, baseline: b, judge })) return false;
    const { games } = row;
    return Array.isArray(games) && games.every((game: unknown) => hasOnly(game, ["score"], {})); // without the judge's words
  });
}

const annotationFields = [
  "dataset",
  "instruction",
  "output_1",
  "generator_1",
  "output_2",
  "generator_2",
  "annotator",
  "preference",
];
const judgmentFields = ["uid", "category", "judge", "model", "baseline", "games"];

function hasOnly(row: unknown, fields: readonly string[], values: Readonly<Record<string, string>>): row is Row {
  if (typeof row !== "object" || row === null) return false;
  const isKnown = Object.keys(row).every((name) => fields.includes(name));
  return isKnown && Object.entries(values).every(([name, value]) => (row as Row)[name] === value);
}

const shares: Readonly<Record<Exclude<Outcome, "undecided">, number>> = { win: 1, tie: 0.5, lose: 0 };

/**
 * Arena-Hard's `model_judgment/JUDGE/MODEL.jsonl`: two games a prompt, the baseline as assistant A in the first, the model in the second. The
 * judge's own words are not in it; its leaderboard reads the grades alone.
 *
 * @throws UsageError when pairs were judged in one order
 */
export function toArenaHardJudgments(verdicts: readonly PairVerdict[], { a, b, judge }: JudgedNames): string {
  const isRepeated = new Set(verdicts.map(({ id }) => id)).size < verdicts.length; // test sets that count from 1 each
  return verdicts
    .map((verdict) => {
      const { id, category, set, orders } = verdict;
      if (orders.length === 1)
        throw new UsageError(
          "--arena-hard: expected pairs that were judged in both orders, got one order each; judge with --rubric arena-hard",
        );
      const games = (["B", "A"] as const).map((first) => ({
        score: isTieWithoutCall(verdict) ? "A=B" : gradeOf(orders, first),
      }));
      return `${JSON.stringify({ uid: isRepeated ? `${set}:${id}` : id, category: category ?? set, judge, model: a, baseline: b, games })}\n`;
    })
    .join("");
}

function isTieWithoutCall({ orders, answers, dialogues }: PairVerdict): boolean {
  return orders.length === 0 && (!answers || isSame({ answers, dialogues }));
}

/** The grade of the game that shows this side first, as assistant A; null if it has none. */
function gradeOf(orders: readonly Verdict[], first: Side): string | null {
  const verdict = orders.find(({ shownFirst }) => shownFirst === first);
  if (verdict?.state !== "judged") return null;
  const { winner, weight = 1 } = verdict;
  if (winner === "draw") return "A=B";
  const sign = weight > 1 ? ">>" : ">";
  return winner === first ? `A${sign}B` : `B${sign}A`;
}
