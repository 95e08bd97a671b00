import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nthHighest, pickHighest, shareOut } from "../../src/selection/pick.ts";

const keys = fc.array(
  fc.oneof(
    fc.constant(NaN),
    fc.integer({ min: 0, max: 6 }).map((n) => n / 2),
    fc.float({ min: 0, max: 5, noNaN: true }),
  ),
  { maxLength: 80 },
);

describe("nthHighest", () => {
  it("is the n-th of the sorted keys", () => {
    fc.assert(
      fc.property(keys, fc.integer({ min: 1, max: 90 }), (list, n) => {
        const sorted = list.filter((key) => !Number.isNaN(key)).sort((a, b) => b - a);
        const found = nthHighest(Float32Array.from(list), n);
        if (n <= sorted.length) expect(found).toBe(sorted[n - 1]);
        else expect(sorted.every((key) => key >= found)).toBe(true);
      }),
    );
  });
});

describe("pickHighest", () => {
  it("keeps as many as asked for, none of them worse than one that was left", () => {
    fc.assert(
      fc.property(keys, fc.integer({ min: 1, max: 90 }), fc.integer({ min: 0, max: 5 }), (list, count, seed) => {
        const { kept } = pickHighest(Float32Array.from(list), { count, seed });
        const chosen = list.filter((_, i) => kept[i]);
        const left = list.filter((key, i) => !kept[i] && !Number.isNaN(key));
        expect(chosen.some(Number.isNaN)).toBe(false);
        expect(chosen.length).toBe(Math.min(count, chosen.length + left.length));
        for (const key of left) expect(key).toBeLessThanOrEqual(Math.min(...chosen));
      }),
    );
  });

  it("draws ties by the seed, the same way with and without other constraints", () => {
    const list = new Float32Array(100).fill(4);
    const first = pickHighest(list, { count: 10, seed: 1 });
    const grouped = pickHighest(list, { count: 10, seed: 1, groups: new Int32Array(100) });
    expect([...grouped.kept]).toEqual([...first.kept]);
    expect([...pickHighest(list, { count: 10, seed: 2 }).kept]).not.toEqual([...first.kept]);
    expect(first).toMatchObject({ cut: 4, tied: 100, tiedKept: 10 });
    expect(first.kept.subarray(0, 10)).not.toEqual(new Uint8Array(10).fill(1));
  });

  it("keeps the best within each group", () => {
    const list = Float32Array.from([5, 5, 5, 5, 1, 2, 3, 4]);
    const { kept } = pickHighest(list, { count: 4, seed: 1, groups: Int32Array.from([0, 0, 0, 0, 1, 1, 1, 1]) });
    expect([...kept.subarray(4)]).toEqual([0, 0, 1, 1]);
  });
});

describe("shareOut", () => {
  it("gives out exactly what there is, never more than a group has, and one to each while it lasts", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 12 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (sizes, share) => {
          const total = sizes.reduce((sum, size) => sum + size, 0);
          const count = Math.round(total * share);
          const shares = shareOut(count, sizes);
          expect(shares.reduce((sum, part) => sum + part, 0)).toBe(count);
          for (const [i, part] of shares.entries()) expect(part).toBeLessThanOrEqual(sizes[i]!);
          if (count >= sizes.filter((size) => size > 0).length)
            for (const [i, part] of shares.entries()) expect(part > 0).toBe(sizes[i]! > 0);
        },
      ),
    );
  });
});
