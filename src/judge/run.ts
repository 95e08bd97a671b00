import { pairWithRatings } from "../dataset/rated-rows.ts";
import { RunError } from "../errors.ts";
import { isRated } from "../run/manifest.ts";
import { readManifest, runFolder } from "../run/run-folder.ts";
import type { Judge } from "./judge.ts";

/** A judge that gives the ratings of a run, to train a student on them or to compare another judge with them. */
export async function createRunJudge(folder: string): Promise<Judge> {
  const run = runFolder(folder);
  const manifest = await readManifest(run);
  if (!isRated(manifest)) throw new RunError(`${folder}: expected a run with ratings, found none`);
  return {
    name: manifest.rate.judge,
    scale: manifest.rate.scale,
    ...(manifest.rate.question && { question: manifest.rate.question }),
    notes: manifest.rate.notes,
    async *rate(examples) {
      for await (const batch of pairWithRatings(examples, run, manifest.rate.ratingsHash))
        yield batch.map(({ rating }) => rating);
    },
  };
}
