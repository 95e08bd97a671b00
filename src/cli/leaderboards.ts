import type { Command } from "commander";
import {
  areAnnotations,
  areJudgments,
  toAlpacaEvalAnnotations,
  toArenaHardJudgments,
  type JudgedNames,
} from "../comparison/leaderboard-formats.ts";
import type { PairVerdict } from "../comparison/verdict.ts";
import { readVerdicts } from "../comparison/verdicts-file.ts";
import { UsageError } from "../errors.ts";
import { isForeignFile } from "../files/foreign-file.ts";
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
  { rubric, ...flags }: LeaderboardFlags & { readonly rubric?: string | undefined },
  files: number,
  judges: number,
): Promise<void> {
  for (const [flag, { path, ending }] of wantedFiles(flags)) {
    if (!path.toLowerCase().endsWith(ending))
      throw new UsageError(`${flag}: expected a name that ends in ${ending}, got ${JSON.stringify(path)}`);
    if (files > 2 || judges > 1)
      throw new UsageError(
        `${flag}: expected two files of answers and one judge, got ${files} and ${judges}; compare them one by one`,
      );
  }
  if (flags.arenaHard !== undefined && (await openPairRubric(rubric)).orders === "random")
    throw new UsageError(
      `--arena-hard: expected a rubric that judges both orders, got --rubric ${rubric}; use --rubric arena-hard`,
    );
}

/**
 * Looks at what would be replaced. A file of this comparison's verdicts may be; of published ones (no `names`) nothing is.
 *
 * @throws UsageError when there is another file
 */
export async function expectReplaceable(flags: LeaderboardFlags, names?: JudgedNames): Promise<void> {
  for (const [flag, { path, isOwn }] of wantedFiles(flags))
    if (await isForeignFile(path, (text) => names !== undefined && isOwn(text, names)))
      throw new UsageError(
        `${flag}: ${path}: expected no file${names ? ", or the verdicts of this comparison from before" : ""}, got another one, which stays as it is; give another name`,
      );
}

function wantedFiles({ alpacaEval, arenaHard }: LeaderboardFlags) {
  const all = {
    "--alpaca-eval": { path: alpacaEval, ending: ".json", format: toAlpacaEvalAnnotations, isOwn: areAnnotations },
    "--arena-hard": { path: arenaHard, ending: ".jsonl", format: toArenaHardJudgments, isOwn: areJudgments },
  };
  return Object.entries(all).flatMap(([flag, { path, ...more }]) =>
    path === undefined ? [] : [[flag, { path, ...more }] as const],
  );
}

/** Writes the files for leaderboards, unless verdicts are pending. @param reviewed the verdicts, if the comparison keeps none */
export async function writeForLeaderboards(
  summary: ComparisonSummary,
  flags: LeaderboardFlags,
  reviewed?: readonly PairVerdict[],
): Promise<void> {
  const wanted = wantedFiles(flags);
  if (wanted.length === 0) return;
  const verdicts = reviewed ?? (await readVerdicts(summary.verdictsPath!)); // `compare` writes one
  if (verdicts.some(({ orders }) => orders.some(({ state }) => state === "pending"))) return; // the summary says how to go on
  for (const [, { path, format }] of wanted) {
    await writeWhole(path, format(verdicts, summary));
    process.stderr.write(
      `alpagasus: wrote the verdicts on ${formatNumbered(verdicts.length, "prompt", "prompts")} to ${plainText(path)}\n`,
    );
  }
}
