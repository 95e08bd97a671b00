import fc from "fast-check";
import { expect, test } from "vitest";
import { histories, live, tell } from "./histories.ts";

test("500 histories of batches at a provider that misbehaves end well", async () => {
  await fc.assert(
    fc.asyncProperty(histories, async (history) => {
      const { violations, log } = await live(history);
      expect(violations, `${tell(history)}\n${log.join("\n")}`).toEqual([]);
    }),
    { numRuns: Number(process.env["HISTORIES"] ?? 500), seed: Number(process.env["HISTORIES_SEED"] ?? 7) },
  );
});
