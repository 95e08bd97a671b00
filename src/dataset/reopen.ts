import type { DatasetRecord } from "../run/manifest.ts";
import { openDataset, type Dataset } from "./open.ts";

/** Opens the data of a run again, as it was opened for rating. */
export function reopenDataset({ source, map, shape }: DatasetRecord, signal?: AbortSignal): Promise<Dataset> {
  return openDataset(source, { ...(map ? { map } : { shape }), ...(signal && { signal }) });
}
