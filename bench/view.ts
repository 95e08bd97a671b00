import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { chromium } from "playwright-core";
import type { RunReport } from "../src/page/contract.ts";
import { chromiumPath } from "../test/helpers/chromium.ts";
import type { Bench } from "./run.ts";
import { measure } from "./measure.ts";
import { writeRows } from "./memory.ts";

const small = 52_002;
const large = 5_000_000;
const words = [
  "photosynthesis",
  "poem about autumn",
  "python function",
  "capital of france",
  "quantum",
  "zebra crossing",
];

/** How long a reader waits: the first view, a search, a filter, on 52 thousand and on 5 million rows. */
export async function benchView({ folder, alpaca, cli }: Bench): Promise<void> {
  const rows = JSON.parse(await readFile(`${alpaca}/alpaca_data.json`, "utf8")) as object[];
  for (const count of [small, large]) {
    const data = `${folder}/${count}.jsonl`;
    await writeRows(rows, count, data);
    const run = `runs/${count}`;
    await measure(process.execPath, [cli, "rate", data, "--run", run], folder);
    await measure(process.execPath, [cli, "select", "--top", "17.75%", "--run", run], folder);
    await look(cli, folder, run, count);
  }
}

async function look(cli: string, folder: string, run: string, count: number): Promise<void> {
  const child = spawn(process.execPath, [cli, "view", "--run", run, "--port", "0"], { cwd: folder });
  try {
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const [, url] = /(http:\S+)/.exec(line.toString())!;
    const first = await firstView(url!);
    const early = await timeQueries(url!, 12);
    const startedAt = performance.now();
    let report: RunReport;
    do report = (await (await fetch(`${url}api/report`)).json()) as RunReport;
    while (!report.rows.isReady && (await new Promise((resolve) => setTimeout(resolve, 200, true))));
    const readingMs = performance.now() - startedAt;
    const ready = await timeQueries(url!, 60);
    console.log(
      `view: ${count.toLocaleString("en")} rows: first view ${first} in the browser, at once after the start; queries while the rows are read: median ${early.median} ms, longest ${early.longest} ms; all read ${(readingMs / 1000).toFixed(1)} s later; then median ${ready.median} ms, 95 % within ${ready.most} ms, longest ${ready.longest} ms`,
    );
  } finally {
    child.kill("SIGTERM");
    await once(child, "close");
  }
}

/** From the request to the histogram, in a real browser where there is one. */
async function firstView(url: string): Promise<string> {
  if (chromiumPath === undefined) return "not measured";
  const browser = await chromium.launch({ executablePath: chromiumPath, args: ["--no-sandbox", "--disable-gpu"] });
  try {
    const page = await browser.newPage();
    await page.goto("about:blank");
    const startedAt = performance.now();
    await page.goto(url);
    await page.waitForSelector("figure svg rect");
    return `${Math.round(performance.now() - startedAt)} ms`;
  } finally {
    await browser.close();
  }
}

/** Searches and filters, each another one, so that nothing is answered from memory. */
async function timeQueries(url: string, count: number): Promise<{ median: number; most: number; longest: number }> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const search = words[i % words.length]!;
    const bound = (1 + (i % 50) / 25).toFixed(2);
    const queries = [
      `search=${search}&shortest=${i}`,
      `atLeast=${bound}&sort=score&shortest=${i}`,
      `below=${bound}&arm=selected&isKept=false&sort=length&isDescending=true&shortest=${i}`,
      `search=${search}&atLeast=${bound}&sort=score&isDescending=true&shortest=${i}`,
    ];
    const startedAt = performance.now();
    const response = await fetch(`${url}api/rows?${queries[i % queries.length]!.replaceAll(" ", "+")}`);
    await response.json();
    times.push(performance.now() - startedAt);
  }
  times.sort((a, b) => a - b);
  const at = (share: number) => Math.round(times[Math.min(times.length - 1, Math.floor(share * times.length))]!);
  return { median: at(0.5), most: at(0.95), longest: Math.round(times.at(-1)!) };
}
