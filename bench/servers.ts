import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Bench } from "./run.ts";
import { startServer } from "./served.ts";

const serverCount = 16;
const atEach = 250; // calls in flight
const latencyMs = 8_000;
const sizes = [12_000, 36_000] as const; // rows: the difference is free of the start, when calls in flight grow step by step

interface Run {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakMegabytes: number;
}

/** One judge on many servers: the throughput beside what the latency allows, and the client's time for a call. */
export async function benchServers({ folder, cli }: Bench): Promise<void> {
  const servers = await Promise.all(Array.from({ length: serverCount }, () => startServer({ latencyMs })));
  try {
    await writeFile(join(folder, "hosts.txt"), servers.map(({ origin }) => `${origin}/v1\n`).join(""));
    const runs: Run[] = [];
    for (const rows of sizes) {
      const data = Array.from({ length: rows }, (_, i) => ({
        instruction: `Question ${rows} ${i}: what is it?`,
        input: "",
        output: `Answer ${i}, in some words that make it as long as answers are. `.repeat(3),
      }));
      await writeFile(join(folder, `${rows}.jsonl`), data.map((row) => `${JSON.stringify(row)}\n`).join(""));
      const args = ["rate", `${rows}.jsonl`, "--judge", "servers:hosts.txt#test-model", "--run", `runs/${rows}`];
      runs.push(await run(cli, [...args, "--concurrency", String(atEach), "--no-check"], folder));
    }
    const [small, large] = runs as [Run, Run];
    const rows = sizes[1] - sizes[0];
    const seconds = large.seconds - small.seconds;
    const ideal = (rows * latencyMs) / 1000 / (serverCount * atEach);
    const cpuMs = ((large.cpuSeconds - small.cpuSeconds) / rows) * 1000;
    const seen = await Promise.all(servers.map((server) => server.see()));
    const answers = seen.map((one) => one.answers);
    console.log(
      `servers: ${serverCount} servers of ${latencyMs / 1000} s a reply, ${serverCount * atEach} calls in flight: ${Math.round(rows / seconds)} replies a second, ${((100 * ideal) / seconds).toFixed(1)} % of what the latency allows once all are in flight (whole run of ${sizes[1]} rows: ${large.seconds.toFixed(1)} s); ${cpuMs.toFixed(2)} ms of the client's processor a reply, peak ${Math.round(large.peakMegabytes)} MB; a server gave ${Math.min(...answers)} to ${Math.max(...answers)} replies, ${answers.reduce((sum, count) => sum + count, 0) - sizes[0] - sizes[1]} too many`,
    );
  } finally {
    for (const server of servers) server.stop();
  }
}

/** Runs the command; GNU time tells its processor time and peak memory. */
async function run(cli: string, args: readonly string[], cwd: string): Promise<Run> {
  const startedAt = performance.now();
  const child = spawn("/usr/bin/time", ["-f", "%U %S %M", process.execPath, cli, ...args], {
    cwd,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr = (stderr + text).slice(-4000)));
  const code = await new Promise<number | null>((resolve, reject) => child.on("close", resolve).on("error", reject));
  if (code !== 0) throw new Error(`${args.join(" ")}: exit ${code}\n${stderr}`);
  const [user = 0, system = 0, kilobytes = 0] = stderr.trim().split("\n").at(-1)!.split(" ").map(Number);
  return {
    seconds: (performance.now() - startedAt) / 1000,
    cpuSeconds: user + system,
    peakMegabytes: kilobytes / 1024,
  };
}
