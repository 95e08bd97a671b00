/*
 * Makes the data of the recipe `laptop` from the sample, by a seed:
 *
 *   node scripts/make-laptop-data.ts
 *
 * - `laptop.data.json`: 256 rows. In two fifths of them the answers are exchanged among each other, and `exchanged` is true.
 * - `laptop.held-out.json`: 160 other rows as they are, for the loss on held-out answers.
 *
 * Rows of more than 900 characters, or with an answer under 40, are left out: they take long on a laptop, or say little.
 */
import { readFile, writeFile } from "node:fs/promises";
import { createRandom, shuffledIndices } from "../src/stats/random.ts";

interface Row {
  instruction: string;
  input: string;
  output: string;
}

const seed = 42;
const rowCount = 256;
const exchangedCount = Math.floor(0.4 * rowCount);
const heldOutCount = 160;

const file = (path: string) => new URL(`../${path}`, import.meta.url).pathname;
const sample = JSON.parse(await readFile(file("samples/alpaca-2000.json"), "utf8")) as Row[];
const isUsable = ({ instruction, input, output }: Row) =>
  output.length >= 40 && instruction.length + input.length + output.length <= 900;
const order = [...shuffledIndices(sample.length, createRandom(seed))]
  .map((index) => sample[index]!)
  .filter((row) => isUsable(row));
const rows = order.slice(0, rowCount);
const heldOut = order.slice(rowCount, rowCount + heldOutCount);

// the first of a random order are exchanged: each takes the answer of the next one, the last that of the first
const data = rows.map((row, i) => ({
  ...row,
  output: i < exchangedCount ? rows[(i + 1) % exchangedCount]!.output : row.output,
  exchanged: i < exchangedCount,
}));
const shuffled = [...shuffledIndices(rowCount, createRandom(seed + 1))].map((index) => data[index]);
const write = (name: string, content: unknown) =>
  writeFile(file(`recipes/experiments/${name}`), `${JSON.stringify(content, null, 1)}\n`);
await write("laptop.data.json", shuffled);
await write("laptop.held-out.json", heldOut);
