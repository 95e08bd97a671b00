import type { Command } from "commander";
import { readPeople } from "../comparison/labels.ts";
import { readReviews } from "../comparison/reviews.ts";
import { UsageError } from "../errors.ts";
import { keepReviews, recount } from "../stages/compare.ts";
import type { CommandContext } from "./context.ts";
import { expectReplaceable, writeForLeaderboards, type LeaderboardFlags } from "./leaderboards.ts";
import { expectNoModelFlags } from "./model-options.ts";
import { renderComparison } from "./text/comparison.ts";
import { plainJson } from "./text/plain-text.ts";

/** The options of `compare` that hold for published judgements, too. */
export interface ReviewFlags extends LeaderboardFlags {
  reviews?: string[] | undefined;
  arms?: string | undefined;
  labels?: string[] | undefined;
  minCoverage: number;
  overwrite?: boolean | undefined;
  seed: number;
  run: string;
  json?: boolean | undefined;
}

/** What `compare --reviews` does: counts published judgements, and keeps the result if --run is given. */
export async function recountReviews(
  files: readonly string[],
  flags: ReviewFlags,
  self: Command,
  context: CommandContext,
): Promise<void> {
  expectNoModelFlags(self, "--reviews", [
    "judge",
    "rubric",
    "dry-run",
    "all-pairs",
    "min-coverage",
    "questions",
    "turns",
  ]);
  const isKept = self.getOptionValueSource("run") === "cli";
  if (flags.overwrite && !isKept)
    throw new UsageError("--overwrite: expected --run DIR with it; without one, --reviews writes nothing");
  if (files.length > 0)
    throw new UsageError(`expected either files of answers or --reviews, got both: ${files.join(", ")}`);
  const [a, b, ...more] = flags.arms?.split(",").map((name) => name.trim()) ?? [];
  if (flags.arms !== undefined && (!a || !b || more.length > 0))
    throw new UsageError(`--arms: expected two names, as in selected,full, got ${flags.arms}`);
  await expectReplaceable(flags);
  const reviews = await readReviews(flags.reviews!, a && b ? { arms: [a, b] } : {});
  const against =
    flags.labels === undefined
      ? []
      : [{ name: flags.labels.join(", "), outcomes: await readPeople(flags.labels, reviews.arms) }];
  const counting = { seed: flags.seed, minCoverage: flags.minCoverage, against };
  const summary = isKept
    ? await keepReviews(reviews, {
        ...counting,
        run: flags.run,
        command: context.command,
        overwrite: flags.overwrite,
      })
    : recount(reviews, counting);
  if (summary.gates.some(({ held }) => !held)) context.exitCode = 3;
  process.stdout.write(flags.json ? `${plainJson(summary, 2)}\n` : renderComparison(summary));
  await writeForLeaderboards(summary, flags, reviews.verdicts);
}
