import { cpSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RatingLine } from "../../src/run/ratings-file.ts";
import type { LossSummary } from "../../src/run/records/losses.ts";
import type { RateSummary } from "../../src/run/records/rating.ts";
import { alpagasus, startAlpagasus } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { pythonEnvironment } from "../helpers/python-environment.ts";
import { trainerPython } from "../helpers/trainer-python.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";
import { serveAsVllm } from "./serve-as-vllm.ts";

/* Likelihoods, measured for real. */

const here = fileURLToPath(new URL("./", import.meta.url));
const words = ["red", "blue", "green", "black", "white", "pink", "gold", "cyan", "grey", "brown"];
const rows = words.flatMap((word, i) =>
  words.map((other, k) => ({
    instruction: `Name a thing that is ${word}.`,
    input: k % 3 === 0 ? other : "",
    output: `A ${other} hat, number ${i}. `.repeat((k % 4) + 1).trim(),
  })),
);

let folder: TempFolder;

beforeAll(() => {
  folder = tempFolder();
  folder.write("rows.json", rows);
  trainerPython(`${here}tiny.py`, ["rows.json", "tiny"], "", folder.path);
});
afterAll(() => folder[Symbol.dispose]());

async function rate(...args: string[]): Promise<RateSummary> {
  const { code, stdout, stderr } = await alpagasus(["rate", "rows.json", ...args, "--min-coverage", "0", "--json"], {
    cwd: folder.path,
    env: pythonEnvironment,
  });
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as RateSummary;
}
const ratings = (run: string) =>
  parseLines<RatingLine & { score?: number; detail?: string }>(
    readFileSync(`${folder.path}/${run}/ratings.jsonl`, "utf8"),
  );

test("perplexities and their quotients are those of one row at a time; killed in the middle, it goes on", async () => {
  const expected = JSON.parse(
    trainerPython(`${here}one-by-one.py`, ["tiny", "1024"], JSON.stringify(rows), folder.path),
  ) as [number, number][];
  const args = ["rate", "rows.json", "--judge", "ifd:tiny", "--run", "runs/ifd"];
  const killed = startAlpagasus(args, { cwd: folder.path, env: pythonEnvironment });
  setTimeout(() => killed.kill("SIGKILL"), 12_000); // wherever it is by then
  await killed.ended;
  await rate("--judge", "ifd:tiny", "--run", "runs/ifd");
  const { notes } = await rate("--judge", "perplexity:tiny", "--run", "runs/perplexity");
  expect(notes.join("\n")).toContain(`${rows.length} rows were measured before`);
  for (const [i, { score, detail, likelihood }] of ratings("runs/ifd").entries()) {
    const [given, alone] = expected[i]!;
    expect(likelihood!.answer![0] / likelihood!.answer![1]).toBeCloseTo(given, 3);
    expect(likelihood!.alone![0] / likelihood!.alone![1]).toBeCloseTo(alone, 3);
    const difficulty = Math.exp(given - alone);
    if (difficulty < 1) expect(score).toBeCloseTo(difficulty, 3);
    else expect(detail).toContain("the prompt makes the answer no easier");
    expect(ratings("runs/perplexity")[i]!.score).toBeCloseTo(Math.exp(given), 2);
  }
});

test("behind a server that answers as vLLM does, they are the same, also with a chat template", async () => {
  cpSync(`${folder.path}/tiny`, `${folder.path}/chat`, { recursive: true });
  folder.write(
    "chat/chat_template.jinja",
    "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}<s>assistant: {% endif %}",
  );
  await using server = await serveAsVllm("chat", folder.path);
  for (const [kind, template] of [
    ["ifd", "plain"],
    ["perplexity", "chat"],
  ] as const) {
    await rate("--judge", `${kind}:chat`, "--template", template, "--run", `runs/here-${kind}`);
    await rate("--judge", `${kind}:${server.address}#m`, "--template", template, "--run", `runs/there-${kind}`);
    const there = ratings(`runs/there-${kind}`);
    for (const [i, { state, likelihood }] of ratings(`runs/here-${kind}`).entries()) {
      expect(there[i]!.state).toBe(state);
      for (const part of kind === "ifd" ? (["answer", "alone"] as const) : (["answer"] as const)) {
        expect(there[i]!.likelihood![part]![1]).toBe(likelihood![part]![1]);
        expect(there[i]!.likelihood![part]![0]).toBeCloseTo(likelihood![part]![0], 3);
      }
    }
  }
});

test("tokens beyond the limit do not count, nor does the batch that a row is measured in", async () => {
  const expected = JSON.parse(
    trainerPython(`${here}one-by-one.py`, ["tiny", "24"], JSON.stringify(rows), folder.path),
  ) as [number, number][];
  const { notes } = await rate("--judge", "perplexity:tiny", "--max-length", "24", "--run", "runs/short");
  expect(notes.join("\n")).toMatch(/rows are longer than 24 tokens/);
  for (const [i, { score }] of ratings("runs/short").entries()) expect(score).toBeCloseTo(Math.exp(expected[i]![0]), 2);
});

test("a row that the model cannot read fails alone", async () => {
  folder.write(
    "odd.json",
    JSON.stringify([rows[0], { instruction: "Half a character", input: "", output: "half \ud83d" }, rows[1]]),
  );
  const { code, stdout, stderr } = await alpagasus(
    ["rate", "odd.json", "--judge", "ifd:tiny", "--run", "runs/odd", "--min-coverage", "0", "--json"],
    { cwd: folder.path, env: pythonEnvironment },
  );
  expect(code, stderr).toBe(0);
  expect((JSON.parse(stdout) as RateSummary).states["failed"]).toBe(1);
  const [first, half, second] = ratings("runs/odd");
  expect(half!.detail).toContain("its tokens cannot be made");
  expect([first!.likelihood, second!.likelihood]).toEqual(
    ratings("runs/ifd")
      .slice(0, 2)
      .map(({ likelihood }) => likelihood),
  );
});

test("two models' losses on held-out answers are those of one row at a time, and are compared item by item", async () => {
  folder.write("others.json", rows.toReversed().slice(0, 60));
  trainerPython(`${here}tiny.py`, ["others.json", "other"], "", folder.path);
  const heldOut = words.map((word) => ({
    instruction: `Hold out ${word}.`,
    input: "",
    output: `A ${word} hat, held out.`,
  }));
  folder.write("heldout.json", heldOut);
  const { code, stdout, stderr } = await alpagasus(
    ["evaluate", "--loss", "heldout.json", "--models", "tiny", "other", "--template", "plain", "--json"],
    { cwd: folder.path, env: pythonEnvironment },
  );
  expect(code, stderr).toBe(0);
  const summary = JSON.parse(stdout) as LossSummary;
  const means = ["tiny", "other"].map((model) => {
    const losses = JSON.parse(
      trainerPython(`${here}one-by-one.py`, [model, "2048"], JSON.stringify(heldOut), folder.path),
    ) as [number, number][];
    return losses.reduce((sum, [given]) => sum + given, 0) / losses.length;
  });
  summary.models.forEach(({ loss, items }, i) => {
    expect(items).toBe(heldOut.length);
    expect(loss.value).toBeCloseTo(means[i]!, 3);
  });
  expect(summary.differences[0]!.difference.value).toBeCloseTo(means[1]! - means[0]!, 3);
});
