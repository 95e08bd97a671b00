import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { CallStore } from "../src/llm/call-store.ts";
import { startBatchServer, steps, type BatchServer } from "../test/helpers/batch-server.ts";
import type { Bench } from "./run.ts";

const rowCount = 50_000;
const kills = 50;
const batchSize = 100; // so that there are steps enough for all kills
const workMs = 200;

/**
 * 50,000 rows through batches, undisturbed and killed 50 times, at every kind of step in turn: wall time, the highest memory of any of
 * the processes, and the server's bill. Takes some three minutes.
 */
export async function benchBatches({ folder, alpaca, cli }: Bench): Promise<void> {
  const rows = (JSON.parse(await readFile(`${alpaca}/alpaca_data.json`, "utf8")) as object[]).slice(0, rowCount);
  const data = `${folder}/rows.json`;
  await writeFile(data, JSON.stringify(rows.map((row, number) => ({ ...row, number }))));
  const [plain, killed] = [
    await rate(0, { folder, cli, data, name: "undisturbed" }),
    await rate(kills, { folder, cli, data, name: "killed" }),
  ];
  const isSame = scoresOf(`${folder}/killed/ratings.jsonl`) === scoresOf(`${folder}/undisturbed/ratings.jsonl`);
  for (const { name, seconds, megabytes, died, billed, twice, open } of [plain, killed])
    console.log(
      `batches: ${name}: ${rowCount.toLocaleString("en")} rows in ${seconds.toFixed(0)} s, ${died} kills, ${megabytes.toFixed(0)} MB at most; billed ${billed.toLocaleString("en")} calls, ${twice} of them twice; ${open} batches left open`,
    );
  console.log(
    `batches: killed against undisturbed: ${(killed.seconds / plain.seconds).toFixed(2)} times the time, ${(killed.megabytes / plain.megabytes).toFixed(2)} times the memory; scores ${isSame ? "equal" : "DIFFER"}`,
  );
}

/** The ratings without the keys of their calls, which hold the server's address. */
function scoresOf(path: string): string {
  return readFileSync(path, "utf8").replaceAll(/,"call":"[0-9a-f]+"/g, "");
}

interface Rating {
  readonly folder: string;
  readonly cli: string;
  readonly data: string;
  readonly name: string;
}

async function rate(killTimes: number, { folder, cli, data, name }: Rating) {
  let died = 0;
  let kill: (() => void) | undefined;
  await using server = await startBatchServer({
    workMs,
    onStep: (step) => {
      if (died >= killTimes || step !== steps[died % steps.length]) return undefined;
      kill?.();
      return undefined;
    },
  });
  const store = `${folder}/${name}.sqlite`;
  const places = ["--run", `${folder}/${name}`, "--store", store];
  const batches = ["--judge", "openai:gpt-4o-mini", "--batch", "--batch-size", String(batchSize), "--no-check"];
  const begunAt = performance.now();
  let megabytes = 0;
  for (let code: number | null = null; code === null;) {
    const child = spawn(process.execPath, [cli, "rate", data, ...batches, ...places], {
      cwd: folder,
      env: { ...process.env, ...server.environment },
      stdio: ["ignore", "ignore", "inherit"],
    });
    const look = () => {
      megabytes = Math.max(megabytes, peakOf(child.pid!));
    };
    const timer = setInterval(look, 250);
    kill = () => {
      look();
      died++;
      child.kill("SIGKILL");
      kill = undefined;
    };
    [code] = (await once(child, "close")) as [number | null];
    clearInterval(timer);
    if (code !== null && code !== 0) throw new Error(`rate ended with ${code}`);
  }
  const seconds = (performance.now() - begunAt) / 1000;
  using calls = new CallStore(store, { readOnly: true });
  return { name, seconds, megabytes, died, ...billOf(server), open: calls.batches.open().length };
}

function billOf({ billed }: BatchServer): { billed: number; twice: number } {
  const counts = [...billed.values()];
  return { billed: counts.reduce((sum, count) => sum + count, 0), twice: counts.filter((count) => count > 1).length };
}

/** The most memory that a process has used so far, in megabytes; 0 when it is gone. */
function peakOf(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
