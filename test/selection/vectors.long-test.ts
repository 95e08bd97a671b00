import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openVectors, openVectorsWriter } from "../../src/run/vectors-file.ts";
import { atOnce } from "../../src/in-turns.ts";
import { pickHighest } from "../../src/selection/pick.ts";
import { takeRepresentative } from "../../src/selection/facility-location.ts";
import { distanceCheck, semanticCheck } from "../../src/selection/semantic.ts";
import { takeToward } from "../../src/selection/toward.ts";
import { createRandom } from "../../src/stats/random.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

let folder: TempFolder;
beforeEach(() => void (folder = tempFolder()));
afterEach(() => folder[Symbol.dispose]());

type Vector = Float32Array | undefined;

async function write(vectors: readonly Vector[]) {
  const path = `${folder.path}/vectors.npy`;
  const writer = openVectorsWriter(path, vectors.length);
  for (const vector of vectors) await writer.write(vector);
  const { dimensions } = writer;
  return { path, sha256: await writer.commit(), dimensions };
}

async function open(vectors: readonly Vector[]) {
  const { path, sha256 } = await write(vectors);
  return openVectors(path, sha256, "");
}

const unit = (values: readonly number[]): Float32Array => {
  const length = Math.hypot(...values) || 1;
  return Float32Array.from(values, (value) => value / length);
};
const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

/** Vectors in clusters, so that many are near to each other; some rows have none. */
function clustered(count: number, dimensions: number, seed: number, missing = 0.02): Vector[] {
  const random = createRandom(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const centres = Array.from({ length: Math.ceil(count / 12) }, () => Array.from({ length: dimensions }, normal));
  return Array.from({ length: count }, () => {
    const centre = centres[Math.floor(random() * centres.length)]!;
    const spread = 0.1 + 0.6 * random();
    return random() < missing ? undefined : unit(centre.map((value) => value + spread * normal()));
  });
}

test("a file of vectors is read as it was written, in any order of rows", async () => {
  const vectors = clustered(500, 7, 1, 0.2).with(0, undefined).with(499, undefined);
  const { path, sha256, dimensions } = await write(vectors);
  expect(dimensions).toBe(7);
  const bytes = readFileSync(path);
  expect(createHash("sha256").update(bytes).digest("hex")).toBe(sha256);
  expect(bytes.subarray(0, 8).toString("latin1")).toBe("\x93NUMPY\x01\x00");
  expect((bytes.length - 500 * 7 * 4) % 64).toBe(0); // the header is padded, as the format asks
  using file = await openVectors(path, sha256, "");
  for (const row of [...vectors.keys(), 499, 3, 250, 4, 5]) expect(file.at(row)).toEqual(vectors[row]);
  await expect(openVectors(path, "0".repeat(64), "make")).rejects.toThrow("got a changed file; make them again: make");
});

test("a file of no vectors at all can be written and read", async () => {
  using file = await open([undefined, undefined]);
  expect([file.rows, file.dimensions, file.at(1)]).toEqual([2, 0, undefined]);
});

/** The published rule, written as it is told: each target in its turn takes the nearest row that none has taken. */
function roundRobin(candidates: Uint8Array, vectors: readonly Vector[], targets: readonly Vector[], count: number) {
  const left = new Set([...vectors.keys()].filter((row) => candidates[row] && vectors[row]));
  const taken: [row: number, target: number][] = [];
  while (targets.some(Boolean) && taken.length < count && left.size > 0)
    for (const [target, vector] of targets.entries()) {
      if (!vector || taken.length === count || left.size === 0) continue;
      const row = [...left].reduce((best, other) =>
        dot(vectors[other]!, vector) > dot(vectors[best]!, vector) ? other : best,
      );
      left.delete(row);
      taken.push([row, target]);
    }
  return taken;
}

test("rows are taken toward targets by the published rule", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 120 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 140 }),
      fc.integer({ min: 1, max: 1e6 }),
      async (rows, targetCount, count, seed) => {
        const vectors = clustered(rows, 5, seed, 0.1);
        const targets = clustered(targetCount, 5, seed + 1, 0.1);
        const random = createRandom(seed + 2);
        const candidates = Uint8Array.from(vectors, () => (random() < 0.8 ? 1 : 0));
        using file = await open(vectors);
        const taken = atOnce(takeToward(candidates, file, targets, { count, seed: 1 }));
        expect(taken.map(({ row, target }) => [row, target])).toEqual(
          roundRobin(candidates, vectors, targets, Math.min(count, rows)),
        );
        for (const { row, target, similarity } of taken)
          expect(similarity).toBeCloseTo(dot(vectors[row]!, targets[target]!), 5);
      },
    ),
    { numRuns: 60 },
  );
});

test("a row that may not be taken costs its target no turn, however many there are", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 2000, max: 5000 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 1, max: 1e6 }),
      async (rows, targetCount, count, seed) => {
        const vectors = clustered(rows, 4, seed, 0);
        const targets = clustered(targetCount, 4, seed + 1, 0);
        const random = createRandom(seed + 2);
        const may = Uint8Array.from(vectors, () => (random() < 0.03 ? 1 : 0)); // more are refused than a list holds
        using file = await open(vectors);
        const taken = atOnce(
          takeToward(new Uint8Array(rows).fill(1), file, targets, {
            count,
            seed: 1,
            mayTake: (row) => may[row] === 1,
          }),
        );
        expect(taken.map(({ row, target }) => [row, target])).toEqual(
          roundRobin(
            may,
            vectors,
            targets,
            Math.min(
              count,
              may.reduce((sum, is) => sum + is, 0),
            ),
          ),
        );
      },
    ),
    { numRuns: 15 },
  );
});

test("of equally near rows the seed decides, not their order in the file", async () => {
  const same = unit([1, 2, 3]);
  using file = await open(Array.from({ length: 50 }, () => same));
  const first = (seed: number) =>
    atOnce(takeToward(new Uint8Array(50).fill(1), file, [same], { count: 3, seed }))[0]!.row;
  expect(new Set([1, 2, 3, 4, 5, 6].map(first)).size).toBeGreaterThan(2);
});

test("without semantic duplicates: what is rejected is near to a kept row, and hardly any near row is kept", async () => {
  const least = 0.9;
  const vectors = clustered(3000, 32, 7);
  using file = await open(vectors);
  const random = createRandom(3);
  const keys = Float64Array.from(vectors, () => random());
  const check = semanticCheck(file, least, "semantic duplicate", "--dedup semantic");
  const picked = pickHighest(keys, { seed: 1, purpose: "score", checks: [check] });
  for (const [row, { detail }] of picked.rejected) {
    expect(picked.kept[detail.of!]).toBe(1);
    expect(keys[detail.of!]!).toBeGreaterThan(keys[row]!); // the better one stays
    expect(dot(vectors[row]!, vectors[detail.of!]!)).toBeGreaterThanOrEqual(least - 1e-6);
  }
  const kept = [...vectors.keys()].filter((row) => picked.kept[row] && vectors[row]);
  let near = 0;
  for (const [i, a] of kept.entries())
    for (const b of kept.slice(i + 1)) if (dot(vectors[a]!, vectors[b]!) >= least + 1e-6) near++;
  expect(picked.rejected.size).toBeGreaterThan(500);
  expect(near / picked.rejected.size).toBeLessThan(0.01); // the index finds nearly always the nearest
  expect(vectors.every((vector, row) => vector !== undefined || picked.kept[row] === 1)).toBe(true);
});

test("rows that represent all are those of greedy facility location", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 2, max: 60 }), fc.integer({ min: 1, max: 1e6 }), async (rows, seed) => {
      const vectors = clustered(rows, 6, seed, 0.05);
      if (!vectors.some(Boolean)) return;
      using file = await open(vectors);
      const count = Math.ceil(rows / 3);
      const taken = atOnce(takeRepresentative(new Uint8Array(rows).fill(1), file, { count, seed: 1 }, "test"));
      const there = [...vectors.keys()].filter((row) => vectors[row]);
      const sumOf = (chosen: readonly number[]) =>
        there.reduce(
          (sum, row) =>
            sum + Math.max(0, ...chosen.map((one) => (one === row ? 1 : dot(vectors[row]!, vectors[one]!)))),
          0,
        );
      expect(taken).toHaveLength(Math.min(count, there.length));
      for (let i = 0; i < taken.length; i++) {
        const before = taken.slice(0, i);
        const most = Math.max(...there.filter((row) => !before.includes(row)).map((row) => sumOf([...before, row])));
        expect(sumOf([...before, taken[i]!])).toBeCloseTo(most, 3); // no other row would add more
      }
    }),
    { numRuns: 40 },
  );
});

test("rows that are exactly so far apart are not too close", async () => {
  using file = await open([unit([1, 0]), unit([0, 1]), unit([1, 3 ** 0.5])]);
  const keptAt = (distance: number) =>
    pickHighest(Float64Array.from([3, 2, 1]), { seed: 1, purpose: "score", checks: [distanceCheck(file, distance)] })
      .kept;
  expect([...keptAt(1)]).toEqual([1, 1, 0]);
  expect([...keptAt(0.1)]).toEqual([1, 1, 1]);
});

test("the same rows are chosen each time", async () => {
  const vectors = clustered(2000, 24, 9);
  using file = await open(vectors);
  const keys = Float64Array.from(vectors, (_, row) => (row * 7919) % 2003);
  const choose = () =>
    pickHighest(keys, {
      count: 700,
      seed: 1,
      purpose: "score",
      checks: [semanticCheck(file, 0.85, "too close", "--diverse")],
    }).kept;
  expect(choose()).toEqual(choose());
});
