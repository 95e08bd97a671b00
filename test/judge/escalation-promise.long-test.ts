import { expect, test } from "vitest";
import { openDataset } from "../../src/dataset/open.ts";
import type { Example } from "../../src/dataset/example.ts";
import { escalate, type CheapView } from "../../src/escalation/escalation.ts";
import { viewRows } from "../../src/escalation/view-rows.ts";
import { embeddedStudentPath } from "../../src/judge/student.ts";
import { createRandom } from "../../src/stats/random.ts";
import { readStudent } from "../../src/student/model-file.ts";
import { describeWithSharedData, readSharedJson, sharedData } from "../helpers/shared-data.ts";

/*
 * Whether `--precision` keeps what it promises: over judges whose replies are recorded, and over judges made to fool the student,
 * at two budgets.
 */

const seeds = 6;
const target = 0.9;

async function viewHeldOut(cut: number): Promise<{ view: CheapView; isTest: ReadonlySet<number> }> {
  const isTest = new Set((readSharedJson("alpaca/student_split.json") as number[]).slice(0, 10_000));
  const dataset = await openDataset(sharedData("alpaca/alpaca_data.json"));
  async function* heldOut(): AsyncGenerator<readonly Example[]> {
    for await (const batch of dataset.batches()) yield batch.filter(({ index }) => isTest.has(index));
  }
  return { view: await viewRows(await readStudent(embeddedStudentPath), heldOut, cut), isTest };
}

describeWithSharedData("the precision that escalation promises", () => {
  test("is kept in at least 93 of 100 runs, whatever the judge's taste, and so is the recall's interval", async () => {
    const random = createRandom(11);
    const lines: string[] = [];
    const all = { runs: 0, kept: 0, precisionIn: 0, recallIn: 0 };
    for (const cut of [3, 4]) {
      const { view, isTest } = await viewHeldOut(cut);
      const recorded = (name: string) =>
        (readSharedJson(`alpaca/ratings.${name}.json`) as number[])
          .filter((_, index) => isTest.has(index))
          .map((score) => score >= cut);
      const own = Array.from(view.probabilities);
      const bent = (by: number) => own.map((p) => random() < 1 / (1 + ((1 - p) / Math.max(1e-9, p)) ** by));
      const judges = {
        "GPT-4o-mini": recorded("gpt-4o-mini"),
        "Llama-3.1-8B": recorded("llama-3.1-8b-instruct"),
        "exactly the student's": bent(1),
        "of which the student is over-sure": bent(0.5),
        "chance, 40 in 100": own.map(() => random() < 0.4),
        "the student's, a fifth turned over": bent(1).map((is) => (random() < 0.2 ? !is : is)),
      };
      for (const [judge, reaches] of Object.entries(judges)) {
        const positives = reaches.filter(Boolean).length;
        for (const budget of [500, 2000]) {
          const mean = { precision: 0, recall: 0, kept: 0 };
          for (let seed = 1; seed <= seeds; seed++) {
            const result = await escalate(view, async (rows) => Array.from(rows, (row) => reaches[row]!), {
              budget,
              precision: target,
              rounds: 8,
              seed,
            });
            const asked = new Set(result.asked);
            let [kept, right] = [0, 0];
            for (const [row, does] of reaches.entries()) {
              if (asked.has(row) ? !does : result.probabilities[row]! < result.keptFrom) continue;
              kept++;
              if (does) right++;
            }
            const [precision, recall] = [right / kept, right / positives];
            const isIn = ({ low, high }: { low: number; high: number }, value: number) => low <= value && value <= high;
            all.runs++;
            if (precision >= target) {
              all.kept++;
              mean.kept++;
            }
            if (isIn(result.precision, precision)) all.precisionIn++;
            if (isIn(result.recall, recall)) all.recallIn++;
            mean.precision += precision / seeds;
            mean.recall += recall / seeds;
          }
          lines.push(
            `  ${`${judge}, >= ${cut}`.padEnd(42)} ${String(budget).padStart(5)} asked  kept ${mean.kept} of ${seeds}  precision ${mean.precision.toFixed(3)}  recall ${mean.recall.toFixed(3)}`,
          );
        }
      }
    }
    console.log(
      `${lines.join("\n")}\n  in all ${all.runs} runs: promise kept ${((100 * all.kept) / all.runs).toFixed(1)} %, precision within its interval ${((100 * all.precisionIn) / all.runs).toFixed(1)} %, recall ${((100 * all.recallIn) / all.runs).toFixed(1)} %`,
    );
    expect(all.kept / all.runs).toBeGreaterThanOrEqual(0.93);
    expect(all.precisionIn / all.runs).toBeGreaterThanOrEqual(0.93);
    expect(all.recallIn / all.runs).toBeGreaterThanOrEqual(0.93);
  });
});
