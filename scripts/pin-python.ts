/*
 * Writes the constraints files of python/: the version of every package that the requirements files lead to, on any platform, also
 * with what a command adds to them (but `kernels`, which is a range, since transformers asks for one that not every index has). Run it after a change of a
 * requirements file. It needs uv and a package index.
 *
 *   node scripts/pin-python.ts
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packageOf, trackers } from "../src/python/trackers.ts";
import { pythonFolder } from "../src/python/uv.ts";
import { sentenceTransformers } from "../src/vectors/local-embedder.ts";
import { liger } from "../src/trainer/formats/format.ts";

const added: Readonly<Record<string, readonly string[]>> = {
  "constraints-trainer.txt": [...trackers.map(packageOf), sentenceTransformers, liger, "gguf"],
  "constraints-llama-factory.txt": [liger],
};

for (const name of readdirSync(pythonFolder).filter((file) => /^requirements.*\.txt$/.test(file))) {
  const lines = readFileSync(join(pythonFolder, name), "utf8").split("\n");
  const constraints = lines.find((line) => line.startsWith("-c "))?.slice("-c ".length);
  const wanted = lines.filter((line) => line !== "" && !/^[#-]/.test(line) && !line.includes("--hash="));
  if (constraints === undefined || wanted.length === 0) continue;
  const pinned = execFileSync(
    "uv",
    "pip compile -q --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url -".split(" "),
    { encoding: "utf8", input: [...wanted, ...(added[constraints] ?? [])].join("\n") },
  );
  const head = `# The version of every package behind ${name}: uv takes no other. Written by scripts/pin-python.ts.\n`;
  writeFileSync(join(pythonFolder, constraints), head + pinned);
  console.log(`${constraints}: ${pinned.trim().split("\n").length} packages`);
}
