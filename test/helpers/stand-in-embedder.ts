import { chmodSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { TempFolder } from "./temp-folder.ts";

/**
 * A `uv` that installs nothing: in place of `embed.py` it starts a process with the same protocol. A vector holds the counts of the letters
 * a to d, and 1. It keeps a list of the texts, and misbehaves as STAND_IN tells: `dies at N`, `garbage`, `no vector for TEXT`. Between
 * batches it waits for STAND_IN_MS.
 */
export function writeStandInEmbedder(folder: TempFolder): {
  readonly path: string;
  asked(): string[];
  pids(): number[];
} {
  const list = join(folder.path, "embedded.txt");
  const path = folder.write(
    "bin/uv",
    `#!${process.execPath}
const { appendFileSync } = require("node:fs");
if (process.argv.includes("--version")) { console.log("uv 0.0.0 (a stand-in)"); process.exit(0); }
const list = ${JSON.stringify(list)};
appendFileSync(list, "pid " + process.pid + "\\n");
const [, dies] = /^dies at (\\d+)$/.exec(process.env.STAND_IN ?? "") ?? [];
const [, none] = /^no vector for (.+)$/.exec(process.env.STAND_IN ?? "") ?? [];
let asked = 0;
console.log("ready " + JSON.stringify({ device: "cpu", dtype: "float32" }));
(async () => {
  for await (const line of require("node:readline").createInterface({ input: process.stdin })) {
    const rows = JSON.parse(line).reverse(); // in any order
    while (rows.length > 0) {
      const results = rows.splice(0, 2).map(({ id, text }) => {
        if (++asked === Number(dies)) { console.error("RuntimeError: the model fell over"); process.exit(1); }
        appendFileSync(list, JSON.stringify(text) + "\\n");
        if (none !== undefined && text.includes(none)) return { id, problem: "not enough memory for 9 tokens" };
        const counts = [..."abcd"].map((letter) => text.split(letter).length - 1).concat(1);
        const length = Math.hypot(...counts);
        const vector = Buffer.from(Float32Array.from(counts, (count) => count / length).buffer).toString("base64");
        return { id, vector, cut: text.length > 100 };
      });
      console.log("measured " + (process.env.STAND_IN === "garbage" ? "[{" : JSON.stringify(results)));
      await new Promise((resolve) => setTimeout(resolve, Number(process.env.STAND_IN_MS ?? 0)));
    }
  }
})();
`,
  );
  chmodSync(path, 0o755);
  const lines = () => (existsSync(list) ? readFileSync(list, "utf8").trim().split("\n") : []);
  return {
    path: join(folder.path, "bin"),
    asked: () => lines().flatMap((line) => (line.startsWith("pid ") ? [] : [JSON.parse(line) as string])),
    pids: () => lines().flatMap((line) => (line.startsWith("pid ") ? [Number(line.slice(4))] : [])),
  };
}
