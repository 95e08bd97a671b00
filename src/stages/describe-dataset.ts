import type { Dataset } from "../dataset/dataset.ts";
import { workingFolder } from "../run/recorded-path.ts";
import type { DatasetRecord } from "../run/records/dataset.ts";
import type { RunFolder } from "../run/run-folder.ts";

/** What the manifest keeps of a dataset. @param hash of its rows */
export function describeDataset(dataset: Dataset, run: RunFolder, rows: number, hash: string): DatasetRecord {
  return {
    source: dataset.source,
    workingFolder: workingFolder(run),
    files: dataset.files.map(({ path, bytes }) => ({ path, bytes })),
    format: dataset.format,
    shape: dataset.shape.name,
    ...(dataset.shape.map && { map: { ...dataset.shape.map } }),
    ...(dataset.quotes && { quotes: dataset.quotes }),
    ...recordPool(dataset),
    rows,
    hash,
  };
}

export function recordPool({ pool }: Dataset): Pick<DatasetRecord, "sources"> {
  return pool
    ? {
        sources: pool.map(({ source, label, shape, map, quotes }) => ({
          source,
          label,
          shape,
          ...(map && { map: { ...map } }),
          ...(quotes && { quotes }),
        })),
      }
    : {};
}
