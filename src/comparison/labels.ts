import { DataError, kindOf } from "../errors.ts";
import type { Row } from "../dataset/example.ts";
import { dataErrorAt } from "../dataset/place.ts";
import { openRecords } from "../dataset/records.ts";
import { findDatasetFiles } from "../dataset/source.ts";
import type { Outcome } from "../stats/outcomes.ts";
import { pairKey } from "./agreement.ts";

/**
 * Reads people's labels of pairs: rows with `id`, `label` (A, B, an arm's name or tie; or win, lose, tie for A) and, if
 * there are several sets, `set`. Gives the outcome for A by set and id.
 *
 * @throws DataError at a row that is not a label, or labels a pair again
 */
export async function readLabels(path: string, arms: readonly [a: string, b: string]): Promise<Map<string, Outcome>> {
  const meanings: Readonly<Record<string, Outcome>> = {
    a: "win",
    b: "lose",
    win: "win",
    lose: "lose",
    tie: "tie",
    [arms[1].toLowerCase()]: "lose",
    [arms[0].toLowerCase()]: "win",
  };
  const labels = new Map<string, Outcome>();
  for (const file of await findDatasetFiles(path)) {
    for await (const batch of (await openRecords(file)).batches()) {
      for (const { value, place } of batch) {
        if (typeof value !== "object" || value === null)
          throw dataErrorAt(place, `expected a label, got ${kindOf(value)}`);
        const row = value as Row; // an object read from a file
        const outcome = meanings[String(row["label"]).toLowerCase()];
        const id = row["id"] ?? row["question_id"];
        if (outcome === undefined || (typeof id !== "string" && typeof id !== "number"))
          throw dataErrorAt(
            place,
            `expected "id" and a "label" of A, B or tie, got ${JSON.stringify(row).slice(0, 120)}`,
          );
        const key = pairKey({ set: typeof row["set"] === "string" ? row["set"] : "", id: String(id) });
        if (labels.has(key))
          throw dataErrorAt(place, `expected one label per pair, got ${id} again; keep only one of them`);
        labels.set(key, outcome);
      }
    }
  }
  if (labels.size === 0) throw new DataError(`${path}: expected labels, got none`);
  return labels;
}
