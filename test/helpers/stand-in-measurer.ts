import { chmodSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { TempFolder } from "./temp-folder.ts";

/**
 * A `uv` that installs nothing: in place of `likelihood.py` it starts a process with the same protocol. A token is a character: with its
 * prompt each costs 1, by itself 2; in an answer that holds "useless prompt" 3 with the prompt. It keeps a list of what it was asked, and
 * a model called "worse" costs more, one called "noisy" now more, now less. It misbehaves as STAND_IN tells: `dies at N`, `no memory for TEXT`, `garbage`, `other rows`. Between batches it waits for STAND_IN_MS.
 */
export function writeStandInMeasurer(folder: TempFolder): {
  readonly path: string;
  asked(): string[];
  pids(): number[];
} {
  const list = join(folder.path, "asked.txt");
  const path = folder.write(
    "bin/uv",
    `#!${process.execPath}
const { appendFileSync } = require("node:fs");
if (process.argv.includes("--version")) { console.log("uv 0.0.0 (a stand-in)"); process.exit(0); }
const list = ${JSON.stringify(list)};
appendFileSync(list, "pid " + process.pid + "\\n");
const [, dies] = /^dies at (\\d+)$/.exec(process.env.STAND_IN ?? "") ?? [];
const [, large] = /^no memory for (.+)$/.exec(process.env.STAND_IN ?? "") ?? [];
const longest = Number(process.argv.at(-2));
const model = process.argv.at(-4);
const worse = (text) => (model.includes("worse") ? 1.1 + (text.length % 7) / 100 : model.includes("noisy") ? 1 + (text.length % 7 - 3) / 10 : 1);
let asked = 0;
console.error("Downloading torch (731.2MiB)");
console.log("ready " + JSON.stringify({ device: "cpu", dtype: "float32", longest }));
(async () => {
  for await (const line of require("node:readline").createInterface({ input: process.stdin })) {
    const rows = JSON.parse(line).reverse(); // in any order
    while (rows.length > 0) {
      const results = rows.splice(0, 2).map(({ id, prompt, answer, needs }) => {
        if (++asked === Number(dies)) { console.error("RuntimeError: the model fell over"); process.exit(1); }
        const text = typeof prompt === "string" ? prompt : prompt.map(({ content }) => content).join("");
        const said = typeof answer === "string" ? answer : answer.content;
        appendFileSync(list, said + " " + needs.join("+") + "\\n");
        const kept = Math.max(0, Math.min(said.length, longest - text.length));
        if (large !== undefined && said.includes(large)) return { id, cut: false, problem: "not enough memory for 9 tokens" };
        return {
          id, cut: text.length + said.length > longest,
          ...(needs.includes("answer") && { answer: [kept * (said.includes("useless prompt") ? 3 : 1) * worse(said), kept] }),
          ...(needs.includes("alone") && { alone: [2 * (said.length - 1), said.length - 1] }),
        };
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
