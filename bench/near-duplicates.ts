import { execFileSync } from "node:child_process";
import { createWriteStream } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { finished } from "node:stream/promises";
import { createRandom } from "../src/stats/random.ts";
import { measure } from "./measure.ts";
import type { Bench } from "./run.ts";

interface AlpacaRow {
  readonly instruction: string;
  readonly input: string;
  readonly output: string;
}

/** The same with rensa's MinHash and LSH, as its README shows. */
const rensa = `
import json, sys
from rensa import RMinHash, RMinHashLSH
rows = [json.loads(line) for line in open(sys.argv[1])]
lsh, hashes, kept = RMinHashLSH(threshold=0.8, num_perm=128, num_bands=16), [], []
for i, row in enumerate(rows):
    words = " ".join((row["instruction"], row["input"], row["output"])).lower().split()
    own = RMinHash(num_perm=128, seed=42)
    own.update([" ".join(words[j : j + 3]) for j in range(max(1, len(words) - 2))])
    hashes.append(own)
    if any(hashes[other].jaccard(own) >= 0.8 for other in lsh.query(own)):
        continue
    lsh.insert(i, own)
    kept.append(i)
with open(sys.argv[2], "w") as file:
    for i in kept:
        file.write(json.dumps(rows[i]) + "\\n")
`;

/**
 * `select --dedup near` as a whole process, beside rensa in Python and beside the same selection without looking for duplicates: four times
 * Alpaca-52k, the copies with 2, 30 and 60 percent of their words changed. Then ours on a million rows. Needs uv.
 */
export async function benchNearDuplicates({ folder, alpaca, cli }: Bench): Promise<void> {
  const rows = JSON.parse(await readFile(`${alpaca}/alpaca_data.json`, "utf8")) as AlpacaRow[];
  const few = await changedRows(rows, [0, 0.02, 0.3, 0.6], `${folder}/few`);
  const many = await changedRows(rows, [0, 0.02, ...Array<number>(18).fill(0.6)], `${folder}/many`);
  for (const { data, run } of [few, many])
    await measure(
      process.execPath,
      [cli, "rate", data, "--judge", `recorded:${data}.scores.json`, "--run", run],
      folder,
    );
  const select = (run: string, ...more: string[]) =>
    measure(process.execPath, [cli, "select", "--run", run, "--min-score", "0", ...more], folder);
  const python = execFileSync(
    "uv",
    ["run", "--no-project", "--with", "rensa==0.5.0", "python", "-c", "import sys; print(sys.executable)"],
    { encoding: "utf8" },
  ).trim();
  await writeFile(`${folder}/others.py`, rensa);
  const theirs = () => measure(python, [`${folder}/others.py`, few.data, `${folder}/kept.jsonl`], folder);
  await theirs(); // warms the disk's cache
  const [near, plain, other, large] = [
    await select(few.run, "--dedup", "near"),
    await select(few.run),
    await theirs(),
    await select(many.run, "--dedup", "near"),
  ];
  const say = ({ seconds, peakMegabytes }: { seconds: number; peakMegabytes: number }) =>
    `${seconds.toFixed(1)} s and ${peakMegabytes.toFixed(0)} MB`;
  console.log(
    `near duplicates: ${few.count} rows ${say(near)} (without --dedup ${say(plain)}), rensa ${say(other)}, ratio ${(near.seconds / other.seconds).toFixed(2)} (the aim is a third); ${many.count} rows ${say(large)}`,
  );
}

/** Writes the rows once for each share of words to change, and scores for all. */
async function changedRows(rows: readonly AlpacaRow[], shares: readonly number[], name: string) {
  const data = `${name}.jsonl`;
  const vocabulary = rows.slice(0, 5000).flatMap((row) => row.output.split(/\s+/));
  const random = createRandom(1);
  const file = createWriteStream(data);
  for (const share of shares)
    for (const row of rows) {
      const changed = (text: string) =>
        share === 0
          ? text
          : text.replace(/\S+/g, (word) =>
              random() < share ? vocabulary[Math.floor(random() * vocabulary.length)]! : word,
            );
      const { instruction, input, output } = row;
      const line = JSON.stringify({
        instruction: changed(instruction),
        input: changed(input),
        output: changed(output),
      });
      if (!file.write(`${line}\n`)) await once(file, "drain");
    }
  file.end();
  await finished(file);
  const count = rows.length * shares.length;
  await writeFile(`${data}.scores.json`, JSON.stringify(Array.from({ length: count }, (_, i) => ((i * 7) % 11) / 2)));
  return { data, count, run: `${name}-run` };
}
