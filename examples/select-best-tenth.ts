/*
 * Rates a dataset with the embedded student and keeps the best tenth, with a random control of the same size.
 *
 *   node examples/select-best-tenth.ts samples/alpaca-2000.json
 */
import { openDataset, openJudge, rate, select } from "alpagasus";

const source = process.argv[2] ?? "samples/alpaca-2000.json";
const run = process.argv[3] ?? "runs/example";
const stop = new AbortController();
process.once("SIGINT", () => stop.abort());

const rated = await rate(await openDataset(source), {
  run,
  judge: await openJudge("student"),
  overwrite: true,
  signal: stop.signal,
  onProgress: ({ done }) => process.stderr.write(`\r${done} rows`),
});
const selected = await select({ run, top: { share: 0.1 }, dedup: "near" });
const control = await select({ run, method: "random", seed: 1 });

console.log(`\n${rated.states.scored} rows scored, mean ${rated.mean?.toFixed(2)}`);
console.log(`${selected.rows} kept in ${selected.path}, ${control.rows} at random in ${control.path}`);
