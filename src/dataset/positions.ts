import { dataErrorAt } from "./place.ts";
import { openRecords } from "./records.ts";
import { findDatasetFiles } from "./source.ts";
import { UsageError } from "../errors.ts";

/** Reads a published selection: row positions from 0. @throws DataError at the first entry that is invalid or repeated */
export async function readPositions(path: string): Promise<number[]> {
  const files = await findDatasetFiles(path);
  if (files.length !== 1) throw new UsageError(`${path}: expected one file of positions, got ${files.length}`);
  const seen = new Set<number>();
  for await (const batch of (await openRecords(files[0]!)).batches()) {
    for (const { value, place } of batch) {
      if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
        throw dataErrorAt(place, `expected a row's position from 0, got ${JSON.stringify(value)}`);
      if (seen.has(value)) throw dataErrorAt(place, `expected each position once, got ${value} again`);
      seen.add(value);
    }
  }
  return [...seen];
}
