import { type StandInRows, writeStandInRows } from "./stand-in-rows.ts";
import type { TempFolder } from "./temp-folder.ts";

/**
 * In place of `likelihood.py`: a token is a character. With its prompt each costs 1, by itself 2; in an answer that holds "useless prompt" 3
 * with the prompt. A model called "worse" costs more, one called "noisy" now more, now less. STAND_IN may also be `no memory for TEXT` or
 * `other rows`.
 */
export function writeStandInMeasurer(folder: TempFolder): StandInRows {
  return writeStandInRows(
    folder,
    `const [, large] = /^no memory for (.+)$/.exec(process.env.STAND_IN ?? "") ?? [];
const longest = Number(process.argv.at(-2));
const model = process.argv.at(-4);
const worse = (text) => (model.includes("worse") ? 1.1 + (text.length % 7) / 100 : model.includes("noisy") ? 1 + (text.length % 7 - 3) / 10 : 1);
console.error("Downloading torch (731.2MiB)");`,
    `({ prompt, answer, needs }) => {
  const text = typeof prompt === "string" ? prompt : prompt.map(({ content }) => content).join("");
  const said = typeof answer === "string" ? answer : answer.content;
  note(said + " " + needs.join("+"));
  const kept = Math.max(0, Math.min(said.length, longest - text.length));
  if (large !== undefined && said.includes(large)) return { cut: false, problem: "not enough memory for 9 tokens" };
  return {
    cut: text.length + said.length > longest,
    ...(needs.includes("answer") && { answer: [kept * (said.includes("useless prompt") ? 3 : 1) * worse(said), kept] }),
    ...(needs.includes("alone") && { alone: [2 * (said.length - 1), said.length - 1] }),
  };
}`,
  );
}
