/*
 * `npm start`: the main job on real data, offline. Runs the same commands that a user types, and shows them.
 */
import { runCommandLine } from "../src/cli/program.ts";

const sample = "samples/alpaca-2000.json";
const recorded = "samples/alpaca-2000.gpt-4o-mini.json";
const paperShare = "17.75%"; // AlpaGasus kept 9,229 of 52,002 rows

const commands = [
  ["rate", sample, "--against", `recorded:${recorded}`, "--run", "runs/sample", "--overwrite"],
  ["select", "--top", paperShare, "--run", "runs/sample"],
  ["select", "--method", "random", "--run", "runs/sample"],
  ["report", "--run", "runs/sample"],
];

for (const command of commands) {
  console.log(`\n$ alpagasus ${command.join(" ")}`);
  const exitCode = await runCommandLine(command);
  if (exitCode !== 0) process.exit(exitCode);
}
