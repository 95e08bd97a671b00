import { chmodSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { TempFolder } from "./temp-folder.ts";

/** A process that rows are sent to, as far as a test sees it. */
export interface StandInRows {
  /** The folder for the PATH. */
  readonly path: string;
  /** What it was asked, a line each, as the script has noted it. */
  asked(): string[];
  pids(): number[];
}

/**
 * A `uv` that installs nothing: in place of a script of `python/` it starts a process with the protocol of rows, which answers two at a time,
 * the last first. It keeps a list of what it was asked, and misbehaves as STAND_IN tells: `dies at N`, `garbage`, and what the script
 * makes of it. Between batches it waits for STAND_IN_MS.
 *
 * @param setUp statements of JavaScript before the first row
 * @param answer a function in JavaScript, from a row to its result; it notes what it was asked by `note(line)`
 */
export function writeStandInRows(folder: TempFolder, setUp: string, answer: string): StandInRows {
  const list = join(folder.path, "asked.txt");
  const path = folder.write(
    "bin/uv",
    `#!${process.execPath}
const { appendFileSync } = require("node:fs");
if (process.argv.includes("--version")) { console.log("uv 0.0.0 (a stand-in)"); process.exit(0); }
const note = (line) => appendFileSync(${JSON.stringify(list)}, line + "\\n");
note("pid " + process.pid);
const [, dies] = /^dies at (\\d+)$/.exec(process.env.STAND_IN ?? "") ?? [];
${setUp}
const answer = ${answer};
let asked = 0;
console.log("ready " + JSON.stringify({ device: "cpu", dtype: "float32" }));
(async () => {
  for await (const line of require("node:readline").createInterface({ input: process.stdin })) {
    const rows = JSON.parse(line).reverse(); // in any order
    while (rows.length > 0) {
      const results = rows.splice(0, 2).map((row) => {
        if (++asked === Number(dies)) { console.error("RuntimeError: the model fell over"); process.exit(1); }
        return { id: row.id, ...answer(row) };
      });
      if (process.env.STAND_IN === "garbage") console.log("measured [{");
      if (process.env.STAND_IN === "other rows") results[0].id += 1000;
      console.log("measured " + JSON.stringify(results));
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
    asked: () => lines().filter((line) => !line.startsWith("pid ")),
    pids: () => lines().flatMap((line) => (line.startsWith("pid ") ? [Number(line.slice(4))] : [])),
  };
}
