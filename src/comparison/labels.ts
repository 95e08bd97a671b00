import { DataError, kindOf } from "../errors.ts";
import type { Row } from "../dataset/example.ts";
import { dataErrorAt, type Place } from "../dataset/place.ts";
import { openRecords } from "../dataset/records.ts";
import { findDatasetFiles } from "../dataset/source.ts";
import type { Outcome } from "../stats/outcomes.ts";
import { pairKey } from "./agreement.ts";
import { byPair, majority } from "./label-agreement.ts";
import { isLabelFile, readLabelFile } from "./label-file.ts";
import { isToolExport, readToolLabels } from "./tool-exports.ts";

/**
 * Reads the labels of one or several people, a file each: what most of them say of each pair; undecided where no answer has most votes.
 *
 * @throws as {@link readLabels}, RunError at a damaged file of `view --label`
 */
export async function readPeople(
  paths: readonly string[],
  arms: readonly [a: string, b: string],
): Promise<ReadonlyMap<string, Outcome>> {
  const people: ReadonlyMap<string, Outcome>[] = [];
  const twice = paths.find((path, i) => paths.indexOf(path) < i);
  if (twice !== undefined) throw new DataError(`${twice}: expected each person's labels once, got the file again`);
  for (const path of paths) {
    const own = ownLabels(path, arms);
    people.push(...(own ? [own] : await readLabels(path, arms)));
  }
  return people.length === 1 ? people[0]! : majority(withSets(people));
}

/** Gives labels without a set the sets that others name for the same id, so that they are about the same pairs. */
function withSets(people: readonly ReadonlyMap<string, Outcome>[]): ReadonlyMap<string, Outcome>[] {
  const byId = Map.groupBy(new Set(people.flatMap((labels) => [...labels.keys()])), (key) => key.split("\0").at(-1)!);
  return people.map(
    (labels) =>
      new Map(
        [...labels].flatMap(([key, outcome]): (readonly [string, Outcome])[] => {
          const named = key.startsWith("\0") ? byId.get(key.slice(1))!.filter((other) => !other.startsWith("\0")) : [];
          if (named.length > 1)
            throw new DataError(
              `labels: expected "set" in labels whose id several sets have, got id ${key.slice(1)} without one; add "set" to each label`,
            );
          return named.length > 0 ? named.map((other) => [other, outcome]) : [[key, outcome]];
        }),
      ),
  );
}

/** The labels of a file that `view --label` wrote; undefined for any other file. */
function ownLabels(path: string, [a, b]: readonly [a: string, b: string]): ReadonlyMap<string, Outcome> | undefined {
  if (!isLabelFile(path)) return undefined;
  const labels = readLabelFile(path);
  const other = labels.find((label) => !(label.a === a && label.b === b) && !(label.a === b && label.b === a));
  if (other) throw new DataError(`${path}: expected labels of ${a} and ${b}, got those of ${other.a} and ${other.b}`);
  if (labels.some(({ by }) => by === "contradiction"))
    throw new DataError(
      `${path}: expected labels of pairs that were drawn by set, got those on which the judge contradicts itself: it agrees less with people there by construction; alpagasus labels shows them`,
    );
  const mirrored = { win: "lose", lose: "win", tie: "tie" } as const;
  const found = byPair(labels);
  if (found.size === 0) throw new DataError(`${path}: expected labels, got none that was not skipped or taken back`);
  return labels[0]?.a === b ? new Map([...found].map(([pair, outcome]) => [pair, mirrored[outcome]])) : found;
}

/**
 * Reads people's labels of pairs: rows with `id`, `label` (A, B, an arm's name or tie; or win, lose, tie for A) and, if
 * there are several sets, `set`, of one person; or what Label Studio or Argilla exports, of several. Gives the outcome for A by set and id,
 * of each person.
 *
 * @throws DataError at a row that is not a label, or labels a pair again; where an arm has the name of a label for the other
 */
async function readLabels(path: string, arms: readonly [a: string, b: string]): Promise<Map<string, Outcome>[]> {
  expectOtherNames(path, arms);
  const meanings: Readonly<Record<string, Outcome>> = {
    a: "win",
    b: "lose",
    win: "win",
    lose: "lose",
    tie: "tie",
    [arms[1].toLowerCase()]: "lose",
    [arms[0].toLowerCase()]: "win",
  };
  const people = new Map<string, Map<string, Outcome>>();
  const add = (person: string, pair: string, outcome: Outcome, place: Place) => {
    const labels = people.get(person) ?? new Map<string, Outcome>();
    people.set(person, labels);
    if (labels.has(pair))
      throw dataErrorAt(
        place,
        `expected one label per pair, got ${pair.split("\0").at(-1)} again${person === "" ? "" : ` by ${person}`}; keep only one of them`,
      );
    labels.set(pair, outcome);
  };
  for (const file of await findDatasetFiles(path)) {
    for await (const batch of (await openRecords(file)).batches()) {
      for (const { value, place } of batch) {
        if (typeof value !== "object" || value === null)
          throw dataErrorAt(place, `expected a label, got ${kindOf(value)}`);
        if (isToolExport(value)) {
          for (const { person, pair, outcome } of readToolLabels(value, place, arms)) add(person, pair, outcome, place);
          continue;
        }
        const row = value as Row; // an object read from a file
        const outcome = meanings[String(row["label"]).toLowerCase()];
        const id = row["id"] ?? row["question_id"];
        if (outcome === undefined || (typeof id !== "string" && typeof id !== "number"))
          throw dataErrorAt(
            place,
            `expected "id" and a "label" of A, B or tie, got ${JSON.stringify(row).slice(0, 120)}`,
          );
        add("", pairKey({ set: typeof row["set"] === "string" ? row["set"] : "", id: String(id) }), outcome, place);
      }
    }
  }
  if (people.size === 0) throw new DataError(`${path}: expected labels, got none`);
  return [...people.values()];
}

/** Words of labels, with what they say of the first arm; undefined where the row says it. */
const labelWords: Readonly<Record<string, Outcome | undefined>> = {
  a: "win",
  b: "lose",
  win: "win",
  lose: "lose",
  tie: "tie",
  both: "tie",
  equal: "tie",
  left: undefined,
  right: undefined,
};

/** @throws DataError where the label of one arm would be read as the other's: `b.jsonl a.jsonl`, labelled A */
function expectOtherNames(path: string, arms: readonly [a: string, b: string]): void {
  for (const [i, arm] of arms.entries()) {
    const word = arm.toLowerCase();
    if (!Object.hasOwn(labelWords, word) || labelWords[word] === (i === 0 ? "win" : "lose")) continue;
    throw new DataError(
      `${path}: expected arms whose names are not read as other labels (A and B are the first and the second arm), got ${arms.join(" and ")}; name them otherwise: NAME=FILE`,
    );
  }
}
