import { openDataset, type Dataset } from "../dataset/open.ts";
import { RunError } from "../errors.ts";
import { isRated, type RatedManifest } from "../run/manifest.ts";
import { readManifest, type RunFolder } from "../run/run-folder.ts";

/** The manifest of a run that has ratings. @throws RunError when nothing was rated yet */
export async function requireRatings(run: RunFolder): Promise<RatedManifest> {
  const manifest = await readManifest(run);
  if (!isRated(manifest))
    throw new RunError(
      `${run.folder}: expected a run with ratings, found none; rate the data first: alpagasus rate DATA --run ${run.folder}`,
    );
  return manifest;
}

/** Opens the data of a run again, as it was opened for rating. */
export function reopenDataset({ dataset }: RatedManifest, signal?: AbortSignal): Promise<Dataset> {
  return openDataset(dataset.source, {
    ...(dataset.map ? { map: dataset.map } : { shape: dataset.shape }),
    ...(signal && { signal }),
  });
}
