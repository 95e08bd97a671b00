import type { DatasetRecord } from "../run/records/dataset.ts";
import { recordedPath } from "../run/recorded-path.ts";
import type { RunFolder } from "../run/run-folder.ts";
import type { Dataset } from "./dataset.ts";
import { openDataset } from "./open.ts";
import { poolDatasets } from "./pool.ts";

/** Opens a run's data again, the same way as for rating. */
export async function reopenDataset(
  {
    source,
    workingFolder,
    map,
    shape,
    quotes,
    sources,
  }: Pick<DatasetRecord, "source" | "workingFolder" | "map" | "shape" | "quotes" | "sources">,
  run: RunFolder,
  signal?: AbortSignal,
): Promise<Dataset> {
  const open = (one: Pick<DatasetRecord, "source" | "map" | "shape" | "quotes">) =>
    openDataset(recordedPath(one.source, run, workingFolder), {
      ...(one.map ? { map: one.map } : { shape: one.shape }),
      quotes: one.quotes,
      unreadable: "keep", // a row that was rated as unreadable still is, and any other change is found by its hash
      signal,
    });
  if (!sources) return open({ source, map, shape, quotes });
  const datasets: Dataset[] = [];
  for (const one of sources) datasets.push(await open(one));
  return poolDatasets(
    datasets,
    sources.map(({ label }) => label),
  );
}
