import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { histories, historyOf, live, tell, type Told } from "./histories.ts";

const runs = Number(process.env["HISTORIES"] ?? 500);
const seed = Number(process.env["HISTORIES_SEED"] ?? 99);

describe("batches at a provider that misbehaves", () => {
  test("whatever happens, every row gets its outcome, is billed once, and its money is in the purse", async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (history) => {
        const { violations, log } = await live(history);
        expect(violations, `${tell(history)}\n${log.join("\n")}`).toEqual([]);
      }),
      { numRuns: runs, seed },
    );
  });

  test("where nothing goes wrong, nothing is perhaps paid, and nothing is asked twice", async () => {
    for (const flavour of ["openai", "anthropic", "google"] as const) {
      const { violations, provider, log } = await live(historyOf({ flavour, rows: 8, batchSize: 3 }));
      expect({ violations, log, batches: provider.batches.length }).toEqual({
        violations: [],
        log: ["done"],
        batches: 3,
      });
    }
  });

  test.each<[what: string, told: Told]>([
    ["a download that ends too early without an error", { results: ["cut in silence"] }],
    ["a line that cannot be read, after others", { rows: 2, fates: [{ items: ["answered", "bad line"] }] }],
    ["a reply that was paid and is missing", { fates: [{ items: ["missing"] }] }],
    ["a lost answer, our clock ahead", { starts: [{ outcome: "reset after" }], commands: [[{ clockOffMs: 200_000 }]] }],
    ["a lost answer, our clock behind", { starts: [{ outcome: "reset after" }], commands: [[{ clockOffMs: -3e6 }]] }],
    [
      "a lost answer, and a list in pages with the oldest first",
      {
        pageSize: 1,
        isOldestFirst: true,
        foreign: [{ calls: 1, madeMsBefore: 200_000, workMs: 0 }],
        starts: [{ outcome: "500 after" }],
      },
    ],
    [
      "a lost answer after a slow upload, and a batch that is made late",
      { starts: [{ uploadMs: 35_000, outcome: "reset after", lateMs: 14_000 }] },
    ],
    [
      "a lost answer, and results that begin with a row of nobody's",
      { starts: [{ outcome: "page after" }], fates: [{ items: ["beside an unknown"] }] },
    ],
    [
      "a lost answer, and files that come after the end",
      { starts: [{ outcome: "reset after" }], results: ["no files yet"] },
    ],
    [
      "a lost answer, and an older batch of the same rows",
      {
        starts: [{ outcome: "made twice" }, { outcome: "504 after" }],
        fates: [{ workMs: 0, items: ["server error"] }],
      },
    ],
    ["a request that is too large", { rows: 4, mostCalls: 2 }],
    ["a queue shorter than a batch, said later", { rows: 4, queueCalls: 2 }],
    ["a queue shorter than a batch, said at once", { flavour: "anthropic", rows: 4, queueCalls: 2 }],
    ["a queue that holds one batch", { rows: 4, batchSize: 2, queueCalls: 2 }],
    ["a queue that holds some batches of one", { rows: 8, batchSize: 1, queueCalls: 3 }],
    [
      "two processes, of which one stops while the other looks",
      { rows: 7, batchSize: 1, statuses: ["none", "page"], commands: [[{}, { afterMs: 201 }]] },
    ],
  ])("%s", async (_, told) => {
    const { violations, log } = await live(historyOf(told));
    expect(violations, log.join("\n")).toEqual([]);
  });

  test.each(["openai", "anthropic", "google"] as const)("killed at any step, at %s", async (flavour) => {
    const broken: string[] = [];
    for (const start of [{}, { uploadMs: 600_000, lateMs: 20_000 }])
      for (let endsAt = 0; endsAt < 50; endsAt++) {
        const told = { flavour, rows: 3, batchSize: 2, starts: [start], commands: [[{ endsAt }]] };
        const { violations } = await live(historyOf(told));
        for (const { rule, detail } of violations)
          broken.push(`${JSON.stringify(start)}, step ${endsAt}: ${rule}: ${detail}`);
      }
    expect(broken).toEqual([]);
  });
});
