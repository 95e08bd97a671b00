import { spawn } from "node:child_process";

/** What one run of a command took. */
export interface Measurement {
  readonly seconds: number;
  /** Highest resident memory, in megabytes. */
  readonly peakMegabytes: number;
}

/** Runs a command as a whole process; GNU time (Debian: `time`) tells its peak memory. @throws Error when it fails */
export async function measure(command: string, args: readonly string[], cwd: string): Promise<Measurement> {
  const startedAt = performance.now();
  const child = spawn("/usr/bin/time", ["-f", "%M", command, ...args], {
    cwd,
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, NODE_NO_WARNINGS: "1" },
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const code = await new Promise<number | null>((resolve, reject) => child.on("close", resolve).on("error", reject));
  if (code !== 0) throw new Error(`${command} ${args.join(" ")}: exit ${code}\n${stderr}`);
  return {
    seconds: (performance.now() - startedAt) / 1000,
    peakMegabytes: Number(stderr.trim().split("\n").at(-1)) / 1024,
  };
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** Runs two things in turn, A B A B …, after one warm-up each, and gives both medians and the median ratio A/B. */
export async function compareInTurn(
  rounds: number,
  a: () => Promise<number>,
  b: () => Promise<number>,
): Promise<{ a: number; b: number; ratio: number }> {
  await a();
  await b();
  const pairs: [number, number][] = [];
  for (let round = 0; round < rounds; round++) pairs.push([await a(), await b()]);
  return {
    a: median(pairs.map(([time]) => time)),
    b: median(pairs.map(([, time]) => time)),
    ratio: median(pairs.map(([x, y]) => x / y)),
  };
}
