import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import {
  areAnnotations,
  areJudgments,
  toAlpacaEvalAnnotations,
  toArenaHardJudgments,
} from "../comparison/leaderboard-formats.ts";
import type { PairVerdict } from "../comparison/verdict.ts";
import { readVerdicts } from "../comparison/verdicts-file.ts";
import { UsageError } from "../errors.ts";
import { writeWhole } from "../files/atomic-file.ts";
import { formatNumbered } from "../format.ts";
import { openPairRubric } from "../rubric/open-rubric.ts";
import type { ComparisonSummary } from "../run/records/comparison.ts";
import { plainText } from "./text/plain-text.ts";

/** Options of `compare` that write its verdicts for the tools of leaderboards. */
export interface LeaderboardFlags {
  alpacaEval?: string | undefined;
  arenaHard?: string | undefined;
}

/** Adds them, and begins the group of options for judges that call a model. */
export function addLeaderboardOptions(command: Command): Command {
  return command
    .optionsGroup("Leaderboards:")
    .option(
      "--alpaca-eval <file.json>",
      "also write the verdicts as AlpacaEval's annotations.json; the first file is the model, the second the reference",
    )
    .option(
      "--arena-hard <file.jsonl>",
      "also write the verdicts as Arena-Hard's model_judgment/JUDGE/MODEL.jsonl; the second file is the baseline",
    )
    .optionsGroup("Judges that call a model:");
}

/** @throws UsageError where a leaderboard's file has a wrong ending, or these comparisons cannot be written to it */
export async function expectOneComparison(
  { alpacaEval, arenaHard, rubric }: LeaderboardFlags & { readonly rubric?: string | undefined },
  files: number,
  judges: number,
): Promise<void> {
  for (const [flag, path, ending, isOwn, what] of [
    ["--alpaca-eval", alpacaEval, ".json", areAnnotations, "annotations of AlpacaEval"],
    ["--arena-hard", arenaHard, ".jsonl", areJudgments, "judgments of Arena-Hard"],
  ] as const) {
    if (path === undefined) continue;
    if (!path.toLowerCase().endsWith(ending))
      throw new UsageError(`${flag}: expected a name that ends in ${ending}, got ${JSON.stringify(path)}`);
    if (await isOther(path, isOwn))
      throw new UsageError(
        `${flag}: ${path}: expected no file, or ${what} to replace, got a file of another kind, which stays as it is; give another name`,
      );
    if (files > 2 || judges > 1)
      throw new UsageError(
        `${flag}: expected two files of answers and one judge, got ${files} and ${judges}; compare them one by one`,
      );
  }
  if (arenaHard !== undefined && (await openPairRubric(rubric)).orders === "random")
    throw new UsageError(
      `--arena-hard: expected a rubric that judges both orders, got --rubric ${rubric}; use --rubric arena-hard`,
    );
}

/** Whether there is something at a path that must not be replaced, such as a file of answers. */
async function isOther(path: string, isOwn: (text: string) => boolean): Promise<boolean> {
  try {
    return !isOwn(await readFile(path, "utf8"));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ENOENT";
  }
}

/** Writes the files for leaderboards, unless verdicts are pending. @param reviewed the verdicts, if the comparison keeps none */
export async function writeForLeaderboards(
  summary: ComparisonSummary,
  { alpacaEval, arenaHard }: LeaderboardFlags,
  reviewed?: readonly PairVerdict[],
): Promise<void> {
  if (alpacaEval === undefined && arenaHard === undefined) return;
  const verdicts = reviewed ?? (await readVerdicts(summary.verdictsPath!)); // `compare` writes one
  if (verdicts.some(({ orders }) => orders.some(({ state }) => state === "pending"))) return; // the summary says how to go on
  for (const [path, format] of [
    [alpacaEval, toAlpacaEvalAnnotations],
    [arenaHard, toArenaHardJudgments],
  ] as const) {
    if (path === undefined) continue;
    await writeWhole(path, format(verdicts, summary));
    process.stderr.write(
      `alpagasus: wrote the verdicts on ${formatNumbered(verdicts.length, "prompt", "prompts")} to ${plainText(path)}\n`,
    );
  }
}
