import { execFile } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { openDataset } from "../src/dataset/open.ts";
import { openLlmJudge, type OpenLlmJudgeOptions } from "../src/judge/open.ts";
import type { RateSummary } from "../src/run/records/rating.ts";
import { rate } from "../src/stages/rate.ts";
import { median } from "./measure.ts";
import type { Bench } from "./run.ts";
import { startServer, type Seen, type ServedOptions } from "./served.ts";

const run = promisify(execFile);
const loops = fileURLToPath(new URL("loops.ts", import.meta.url));
const firstCore = ["-c", "0", process.execPath]; // the server runs where it will

/**
 * The engine against local servers: how near it comes to what the latency and the limits allow, how it stands faults, and
 * what it costs on one core beside loops that only ask.
 */
export async function benchCalls({ folder, alpaca, cli }: Bench): Promise<void> {
  const rows = (await readRows(`${alpaca}/alpaca_data.json`)).slice(0, 5000);
  const data = await writeRows(rows, `${folder}/5000.json`);
  await overhead(folder, cli, rows.slice(0, 2000));

  const latency = { logNormal: { medianMs: 300, sigma: 0.5 } };
  await againstIdeal("latency 300 ms, no faults", data, folder, latency);
  await againstIdeal("the same with 5 % 429, 2 % 500, 1 % resets, 0.5 % hangs, 0.5 % cut off", data, folder, {
    ...latency,
    faults: { tooMany: 0.05, serverError: 0.02, reset: 0.01, hang: 0.005, cut: 0.005 },
  });

  const few = await writeRows(rows.slice(0, 1000), `${folder}/1000.json`);
  const faults = { tooMany: 0.05, serverError: 0.02, reset: 0.01 };
  const { summary } = await rateOnce(few, folder, { latencyMs: 50, faults, retryAfter: "1" });
  console.log(
    `calls: 1,000 rows, 50 ms, 5 % 429 that ask for a second, 2 % 500, 1 % resets: ${summary.states.scored} scored in ${(summary.wallMs / 1000).toFixed(1)} s (the aim is under 4 s; curator needs 11.5 s)`,
  );

  const forty = await writeRows(rows.slice(0, 40), `${folder}/40.json`);
  const queued = await rateOnce(forty, folder, { latencyMs: 8_000, slots: 4 }, { concurrency: 32 });
  const idealSeconds = (40 / 4) * 8;
  console.log(
    `calls: 40 rows by a server that queues, 4 at a time, 8 s each: ${queued.summary.states.scored} scored in ${(queued.summary.wallMs / 1000).toFixed(1)} s, ${((100 * idealSeconds) / (queued.summary.wallMs / 1000)).toFixed(1)} % of the ideal (the aim is 90), ${queued.seen.answers} answers to ${queued.seen.questions} questions`,
  );

  for (const [how, tells, limits] of [
    ["told by headers", true, {}],
    ["given by hand", false, { requests: 600 }],
  ] as const) {
    const limited = await writeRows(rows.slice(0, 400), `${folder}/400.json`);
    const served = { latencyMs: 50, requestsPerMinute: 600, tells };
    const { seen } = await rateOnce(limited, folder, served, { limits });
    const share = seen.answers / ((seen.seconds / 60) * 600);
    console.log(
      `calls: a limit of 600 requests a minute, ${how}: ${(100 * share).toFixed(1)} % of it used (the aim is 95), ${((100 * seen.refused) / seen.requests).toFixed(1)} % refused (the aim is under 2)`,
    );
  }
}

interface Row {
  readonly instruction: string;
  readonly input: string;
  readonly output: string;
}

async function readRows(path: string): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const batch of (await openDataset(path)).batches()) rows.push(...batch);
  return rows;
}

async function writeRows(rows: readonly Row[], path: string): Promise<string> {
  await writeFile(path, JSON.stringify(rows.map(({ instruction, input, output }) => ({ instruction, input, output }))));
  return path;
}

/** Rows a second without latency, everything on one core but the server; all of them in turn, five times. */
async function overhead(folder: string, cli: string, rows: readonly Row[]): Promise<void> {
  const data = await writeRows(rows, `${folder}/2000.json`);
  const judge = await openLlmJudge("http://127.0.0.1:1/v1#m", { run: folder, forPlan: true });
  const prompts: { system: string; user: string }[] = [];
  for await (const batch of (await openDataset(data)).batches()) {
    for (const example of batch) {
      const [system, user] = judge.ask(example).requests[0]!.messages;
      prompts.push({ system: system!.text, user: user!.text });
    }
  }
  judge.close();
  await writeFile(`${folder}/prompts.json`, JSON.stringify(prompts));
  const server = await startServer();
  const found: Record<string, number[]> = {};
  for (let round = 0; round < 5; round++) {
    for (const kind of ["fetch", "http", "sdk"]) {
      const { stdout } = await run("taskset", [
        ...firstCore,
        loops,
        kind,
        server.origin,
        `${folder}/prompts.json`,
        "64",
      ]);
      (found[kind] ??= []).push(rows.length / Number(stdout));
    }
    await rm(`${folder}/once`, { recursive: true, force: true });
    const args = ["rate", data, "--judge", `${server.origin}/v1#m`, "--concurrency", "64", "--json", "--no-check"];
    const places = ["--run", `${folder}/once`, "--store", `${folder}/once/calls.sqlite`];
    const { stdout } = await run("taskset", [...firstCore, cli, ...args, ...places]);
    const { wallMs } = JSON.parse(stdout) as RateSummary; // from reading the rows to the ratings on disk
    (found["rate"] ??= []).push(rows.length / (wallMs / 1000));
  }
  server.stop();
  const speed = (kind: string) => median(found[kind]!);
  const beside = ["fetch", "http", "sdk"].map(
    (kind) =>
      `${(speed("rate") / speed(kind)).toFixed(2)} of a bare loop of ${{ fetch: "fetch", http: "node:http", sdk: "the AI SDK" }[kind]} (${speed(kind).toFixed(0)})`,
  );
  console.log(
    `calls: 2,000 rows, no latency, 64 in flight, one core: rate does ${speed("rate").toFixed(0)} rows a second with its store: ${beside.join(", ")}; the aim is 2,300`,
  );
}

/** Beside the time that the latency alone would take with all places always taken. */
async function againstIdeal(what: string, data: string, folder: string, served: ServedOptions): Promise<void> {
  const { summary, seen } = await rateOnce(data, folder, served, { timeoutMs: 5000 });
  const ideal = 64 / (seen.meanLatencyMs / 1000);
  const speed = 5000 / (summary.wallMs / 1000);
  console.log(
    `calls: ${what}: ${summary.states.scored} of 5,000 scored, ${speed.toFixed(0)} rows a second of ${ideal.toFixed(0)} ideal (${((100 * speed) / ideal).toFixed(1)} %), 64 in flight`,
  );
}

async function rateOnce(
  data: string,
  folder: string,
  served: ServedOptions,
  options: Partial<OpenLlmJudgeOptions> = {},
): Promise<{ summary: RateSummary; seen: Seen }> {
  const server = await startServer(served);
  const place = `${folder}/${Math.random()}`;
  const judge = await openLlmJudge(`${server.origin}/v1#m`, {
    run: place,
    store: `${place}/calls.sqlite`,
    concurrency: 64,
    ...options,
  });
  try {
    const summary = await rate(await openDataset(data), { run: place, judge });
    return { summary, seen: await server.see() };
  } finally {
    judge.close();
    server.stop();
  }
}
