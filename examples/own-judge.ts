/*
 * A judge of one's own: anything that gives a rating to each example, in order. This one likes answers of a hundred words.
 *
 *   npx node examples/own-judge.ts
 */
import { openDataset, rate, select, type Judge } from "alpagasus";

const hundredWords: Judge = {
  name: "hundred words",
  scale: { min: 0, max: 5 },
  notes: ["counts words and nothing else"],
  async *rate(examples) {
    for await (const batch of examples) {
      yield batch.map(({ output }) => {
        const words = output.split(/\s+/).length;
        return { state: "scored", score: Math.max(0, 5 - Math.abs(words - 100) / 20) } as const;
      });
    }
  },
};

const run = process.argv[2] ?? "runs/own-judge";
await rate(await openDataset("samples/alpaca-2000.json"), { run, judge: hundredWords, overwrite: true });
const { rows, whatIf } = await select({ run, minScore: 4 });
console.log(`${rows} answers of about a hundred words`);
for (const { threshold, rows: count } of whatIf) console.log(`at least ${threshold}: ${count}`);
