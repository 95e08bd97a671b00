import type { DatasetRecord } from "../run/records/dataset.ts";
import { recordedPath } from "../run/recorded-path.ts";
import type { RunFolder } from "../run/run-folder.ts";
import { openDataset, type Dataset } from "./open.ts";

/** Opens a run's data again, the same way as for rating. */
export function reopenDataset(
  { source, workingFolder, map, shape }: Pick<DatasetRecord, "source" | "workingFolder" | "map" | "shape">,
  run: RunFolder,
  signal?: AbortSignal,
): Promise<Dataset> {
  return openDataset(recordedPath(source, run, workingFolder), {
    ...(map ? { map } : { shape }),
    unreadable: "keep", // a row that was rated as unreadable still is, and any other change is found by its hash
    signal,
  });
}
