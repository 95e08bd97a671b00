import { type StandInRows, writeStandInRows } from "./stand-in-rows.ts";
import type { TempFolder } from "./temp-folder.ts";

/**
 * In place of `embed.py`: a vector holds the counts of the letters a to d, and 1. STAND_IN may also be `no vector for TEXT`.
 */
export function writeStandInEmbedder(folder: TempFolder): StandInRows {
  const rows = writeStandInRows(
    folder,
    `const [, none] = /^no vector for (.+)$/.exec(process.env.STAND_IN ?? "") ?? [];`,
    `({ text }) => {
  note(JSON.stringify(text));
  if (none !== undefined && text.includes(none)) return { problem: "not enough memory for 9 tokens" };
  const counts = [..."abcd"].map((letter) => text.split(letter).length - 1).concat(1);
  const length = Math.hypot(...counts);
  const vector = Buffer.from(Float32Array.from(counts, (count) => count / length).buffer).toString("base64");
  return { vector, cut: text.length > 100 };
}`,
  );
  return { ...rows, asked: () => rows.asked().map((line) => JSON.parse(line) as string) };
}
