import type { Dataset } from "../dataset/dataset.ts";
import { RunError } from "../errors.ts";
import type { Judge } from "../judge/judge.ts";
import { isRated } from "../run/manifest.ts";
import { readManifest, runFolder } from "../run/run-folder.ts";
import { expectSameQuestion } from "../stages/rate-checks.ts";
import type { RateFlags } from "./rate-flags.ts";

/** Why a rating in this run would be refused; undefined where it would not be. */
export async function findRefusal(dataset: Dataset, judge: Judge, flags: RateFlags): Promise<string | undefined> {
  const { run, as, overwrite } = flags;
  try {
    const manifest = overwrite ? undefined : await readManifest(runFolder(run));
    if (!isRated(manifest)) return undefined;
    const rated = as === undefined ? manifest.rate : manifest.scores?.[as];
    await expectSameQuestion(manifest.dataset, rated, dataset, { run, judge, as });
    return undefined;
  } catch (error) {
    if (error instanceof RunError) return error.message;
    throw error;
  }
}
