import { execFileSync } from "node:child_process";
import { compareInTurn, measure } from "./measure.ts";
import type { Bench } from "./run.ts";

/** What anyone would write: load, filter, dump. It writes no decisions and checks nothing. */
const python = `
import json, sys
rows, scores = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))
json.dump([row for row, score in zip(rows, scores) if score >= 3], open(sys.argv[3], "w"), indent=4)
`;

/** \`select --min-score 3\` on Alpaca-52k, whole process, beside the obvious Python script. */
export async function benchSelect({ folder, alpaca, cli }: Bench): Promise<void> {
  const data = `${alpaca}/alpaca_data.json`;
  const scores = `${alpaca}/ratings.gpt-4o-mini.json`;
  // the interpreter itself: on some machines `python3` is a script that looks for it first
  const interpreter = execFileSync("python3", ["-c", "import sys; print(sys.executable)"], { encoding: "utf8" }).trim();
  await measure(process.execPath, [cli, "rate", data, "--judge", `recorded:${scores}`], folder);
  const { a, b, ratio } = await compareInTurn(
    15,
    async () => (await measure(process.execPath, [cli, "select", "--min-score", "3"], folder)).seconds,
    async () => (await measure(interpreter, ["-c", python, data, scores, `${folder}/kept.json`], folder)).seconds,
  );
  console.log(
    `select: --min-score 3 on 52,002 rows ${a.toFixed(2)} s, the Python script ${b.toFixed(2)} s, ratio ${ratio.toFixed(2)} (medians of 15 in turn; the aim is at most 1)`,
  );
}
