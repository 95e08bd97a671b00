import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { packageFolder } from "../src/package-folder.ts";
import { pythonFolder, uvArguments } from "../src/python/uv.ts";
import { makeSmollm2, smollm2Folder } from "../src/python/smollm2.ts";
import type { Bench } from "./run.ts";

const count = 40;

/**
 * Rows a second of `ifd:smollm2`, beside the same measured one row at a time, as the published scripts do. Both as whole processes, less
 * what each takes for one row.
 */
export async function benchLikelihood({ folder, alpaca }: Bench): Promise<void> {
  await makeSmollm2();
  const all = JSON.parse(await readFile(`${alpaca}/alpaca_data.json`, "utf8")) as Record<string, string>[];
  const rows = all.filter((_, i) => i % 1300 === 0).slice(0, count);
  const run = (script: string, args: readonly string[], input: string): number => {
    const startedAt = performance.now();
    execFileSync("uv", uvArguments(script, args), {
      input,
      cwd: folder,
      stdio: ["pipe", "ignore", "ignore"],
      env: { ...process.env, HF_HUB_OFFLINE: "1" },
    });
    return (performance.now() - startedAt) / 1000;
  };
  const oneByOne = (some: typeof rows) =>
    run(join(packageFolder, "test/trainer/one-by-one.py"), [smollm2Folder(), "1024"], JSON.stringify(some));
  const ours = (some: typeof rows) =>
    run(
      join(pythonFolder, "likelihood.py"),
      [smollm2Folder(), "-", "1024", "-"],
      `${JSON.stringify(
        some.map(({ instruction, input, output }, id) => ({
          id,
          prompt: `${instruction}\n${input === "" ? "" : `${input}\n`}`,
          answer: output,
          needs: ["answer", "alone"],
        })),
      )}\n`,
    );
  await writeFile(join(folder, "rows.json"), JSON.stringify(rows));
  const few = rows.slice(0, 1);
  ours(few); // warms uv's and the disk's caches
  const [theirs, own] = [oneByOne(rows) - oneByOne(few), ours(rows) - ours(few)];
  console.log(
    `likelihood: ifd by smollm2, ${count} rows of Alpaca: ${(count / own).toFixed(2)} rows/s, one row at a time ${(count / theirs).toFixed(2)} (${(theirs / own).toFixed(2)} times; the aim is 3)`,
  );
}
