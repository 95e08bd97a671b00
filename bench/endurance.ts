import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { finished } from "node:stream/promises";
import { measure } from "./measure.ts";
import type { Bench } from "./run.ts";
import { startServer } from "./served.ts";

const kills = 200;
const concurrency = 16;
const million = 1_000_000;

/** The engine over many deaths and many rows. Takes some ten minutes and 3 GB of disk. */
export async function benchEndurance({ folder, alpaca, cli }: Bench): Promise<void> {
  const rows = JSON.parse(await readFile(`${alpaca}/alpaca_data.json`, "utf8")) as object[];
  await die(rows.slice(0, 6000), folder, cli);
  await endure(rows, folder, cli);
}

/** `kill -9` at random moments, resumed each time. */
async function die(rows: readonly object[], folder: string, cli: string): Promise<void> {
  const data = `${folder}/deaths.json`;
  await writeFile(data, JSON.stringify(rows));
  const server = await startServer({ logNormal: { medianMs: 40, sigma: 0.5 } });
  const args = (place: string) => {
    const places = ["--run", `${folder}/${place}`, "--store", `${folder}/${place}.sqlite`];
    return [
      "rate",
      data,
      "--judge",
      `${server.origin}/v1#m`,
      "--concurrency",
      String(concurrency),
      "--no-check",
      ...places,
    ];
  };
  await measure(process.execPath, [cli, ...args("undisturbed")], folder);
  const before = await server.see();
  let died = 0;
  while (died < kills) {
    const child = spawn(process.execPath, [cli, ...args("killed")], { cwd: folder, stdio: "ignore" });
    const ended = once(child, "close");
    const timer = setTimeout(() => child.kill("SIGKILL"), 150 + 250 * Math.random());
    const [code] = (await ended) as [number | null];
    clearTimeout(timer);
    if (code === 0) break;
    died++;
  }
  await measure(process.execPath, [cli, ...args("killed")], folder);
  const after = await server.see();
  server.stop();
  const twice = after.answers - before.answers - (before.questions - 0);
  const same = (await readFile(`${folder}/killed/ratings.jsonl`)).equals(
    await readFile(`${folder}/undisturbed/ratings.jsonl`),
  );
  console.log(
    `endurance: ${died} kills over ${rows.length} rows, ${concurrency} in flight: ${twice} replies asked for twice (at most ${died * concurrency} were in flight at the kills); ratings ${same ? "equal" : "DIFFER from"} an undisturbed run's, byte for byte`,
  );
}

/** A million rows that are asked about, and the same again from the store, beside 52 thousand. */
async function endure(rows: readonly object[], folder: string, cli: string): Promise<void> {
  const server = await startServer();
  for (const what of ["asked", "stored"]) {
    const peaks: number[] = [];
    for (const count of [52_002, million]) {
      const data = `${folder}/${count}.jsonl`;
      if (what === "asked") await writeRows(rows, count, data);
      const places = ["--run", `${folder}/${count}`, "--store", `${folder}/${count}.sqlite`];
      const args = ["rate", data, "--judge", `${server.origin}/v1#m`, "--concurrency", "64", "--no-check", ...places];
      const { peakMegabytes, seconds } = await measure(process.execPath, [cli, ...args], folder);
      peaks.push(peakMegabytes);
      console.log(
        `endurance: ${count.toLocaleString("en")} rows, ${what}: ${peakMegabytes.toFixed(0)} MB at most, ${(count / seconds).toFixed(0)} rows a second`,
      );
    }
    console.log(`endurance: ${what}: ${(peaks[1]! / peaks[0]!).toFixed(2)} times the memory for 19 times the rows`);
  }
  server.stop();
}

/** Alpaca's rows over and over, each made different. */
async function writeRows(rows: readonly object[], count: number, path: string): Promise<void> {
  const file = createWriteStream(path);
  for (let i = 0; i < count;) {
    let text = "";
    for (const end = Math.min(count, i + 2000); i < end; i++)
      text += `${JSON.stringify({ ...rows[i % rows.length], input: `Number ${i}` })}\n`;
    if (!file.write(text)) await once(file, "drain");
  }
  file.end();
  await finished(file);
}
