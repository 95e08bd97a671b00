import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nthHighest, pickHighest, shareOut } from "../../src/selection/pick.ts";

const keys = fc.array(
  fc.oneof(
    fc.constant(NaN),
    fc.integer({ min: 0, max: 6 }).map((n) => n / 2),
    fc.double({ min: 0, max: 5, noNaN: true }),
  ),
  { maxLength: 80 },
);

describe("nthHighest", () => {
  it("is the n-th of the sorted keys", () => {
    fc.assert(
      fc.property(keys, fc.integer({ min: 1, max: 90 }), (list, n) => {
        const sorted = list.filter((key) => !Number.isNaN(key)).sort((a, b) => b - a);
        const found = nthHighest(Float64Array.from(list), n);
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
        const { kept } = pickHighest(Float64Array.from(list), { count, seed, purpose: "test" });
        const chosen = list.filter((_, i) => kept[i]);
        const left = list.filter((key, i) => !kept[i] && !Number.isNaN(key));
        expect(chosen.some(Number.isNaN)).toBe(false);
        expect(chosen.length).toBe(Math.min(count, chosen.length + left.length));
        for (const key of left) expect(key).toBeLessThanOrEqual(Math.min(...chosen));
      }),
    );
  });

  it("draws ties by the seed, the same way with and without other constraints", () => {
    const list = new Float64Array(100).fill(4);
    const first = pickHighest(list, { count: 10, seed: 1, purpose: "test" });
    const grouped = pickHighest(list, { count: 10, seed: 1, purpose: "test", groups: new Int32Array(100) });
    expect([...grouped.kept]).toEqual([...first.kept]);
    expect([...pickHighest(list, { count: 10, seed: 2, purpose: "test" }).kept]).not.toEqual([...first.kept]);
    expect(first).toMatchObject({ cut: 4, tied: 100, tiedKept: 10 });
    expect(first.kept.subarray(0, 10)).not.toEqual(new Uint8Array(10).fill(1));
  });

  it("takes rows that a check rejects for no ties", () => {
    const texts = [0, 1, 2, 0, 1, 2];
    const kept = new Set<number>();
    const once = {
      reject: (row: number) => (kept.has(texts[row]!) ? { reason: "duplicate" as const, detail: {} } : undefined),
      keep: (row: number) => void kept.add(texts[row]!),
    };
    const picked = pickHighest(new Float64Array(6).fill(5), { count: 4, seed: 1, purpose: "test", checks: [once] });
    expect(picked).toMatchObject({ cut: 5, tied: 3, tiedKept: 3 });
  });

  it("keeps the best within each group", () => {
    const list = Float64Array.from([5, 5, 5, 5, 1, 2, 3, 4]);
    const { kept } = pickHighest(list, {
      count: 4,
      seed: 1,
      purpose: "test",
      groups: Int32Array.from([0, 0, 0, 0, 1, 1, 1, 1]),
    });
    expect([...kept.subarray(4)]).toEqual([0, 0, 1, 1]);
  });
});

describe("draws", () => {
  it("for different purposes are independent, so that a control owes nothing to the ties of a selection", () => {
    const ties = new Float64Array(10_000);
    const first = pickHighest(ties, { count: 1000, seed: 42, purpose: "score" }).kept;
    const second = pickHighest(ties, { count: 1000, seed: 42, purpose: "random" }).kept;
    const both = first.reduce((sum, kept, i) => sum + (kept & second[i]!), 0);
    expect(both).toBeGreaterThan(60); // 100 expected, standard deviation 9
    expect(both).toBeLessThan(140);
  });

  it("tell scores apart however close they are", () => {
    const scores = Float64Array.from({ length: 1000 }, (_, i) => 1e9 + i / 100);
    const { kept } = pickHighest(scores, { count: 100, seed: 1, purpose: "test" });
    expect(kept.subarray(900).every((is) => is === 1)).toBe(true);
  });

  it("fill the places that a group cannot from the others", () => {
    const scores = new Float64Array(20).fill(1);
    const groups = Int32Array.from({ length: 20 }, (_, i) => (i < 10 ? 0 : 1));
    const kept = new Set<number>();
    const once = {
      reject: (row: number) =>
        row < 10 && [...kept].some((other) => other < 10) ? { reason: "duplicate" as const, detail: {} } : undefined,
      keep: (row: number) => void kept.add(row),
    };
    const picked = pickHighest(scores, { count: 10, seed: 1, purpose: "test", groups, checks: [once] });
    expect(picked.kept.reduce((sum, is) => sum + is, 0)).toBe(10);
  });
});

describe("shareOut", () => {
  it("gives fewer places than groups to the largest groups, however many there are", () => {
    const sizes = Array.from({ length: 100_000 }, (_, i) => 1 + (i % 3));
    const shares = shareOut(30_000, sizes);
    expect(shares.reduce((sum, part) => sum + part, 0)).toBe(30_000);
    expect(shares.every((part, i) => part === 0 || sizes[i] === 3)).toBe(true);
  });

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
