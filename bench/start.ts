import { writeFile } from "node:fs/promises";
import { compareInTurn, measure } from "./measure.ts";
import type { Bench } from "./run.ts";
import { startServer } from "./served.ts";

const rounds = 9;

/** How long the command line takes before it does anything, beside Node itself: `--version`, and ten rows by a local server. */
export async function benchStart({ folder, cli }: Bench): Promise<void> {
  const data = `${folder}/ten.json`;
  await writeFile(
    data,
    JSON.stringify(Array.from({ length: 10 }, (_, i) => ({ instruction: `Say ${i}`, output: "x" }))),
  );
  const node = async (...args: readonly string[]) => (await measure(process.execPath, args, folder)).seconds;
  const bare = () => node("-e", "1");
  const version = await compareInTurn(rounds, () => node(cli, "--version"), bare);
  const server = await startServer();
  let run = 0;
  const rate = () => {
    const places = ["--run", `${folder}/run${++run}`, "--store", `${folder}/store${run}.sqlite`];
    return node(cli, "rate", data, "--judge", `${server.origin}/v1#m`, "--no-check", ...places);
  };
  const rating = await compareInTurn(rounds, rate, bare);
  server.stop();
  const ms = (seconds: number) => `${(1000 * seconds).toFixed(0)} ms`;
  console.log(
    `start: --version ${ms(version.a)}, ${version.ratio.toFixed(2)} times a bare Node (${ms(version.b)}); ten rows by a local server ${ms(rating.a)}, ${rating.ratio.toFixed(1)} times (${ms(rating.b)})`,
  );
}
