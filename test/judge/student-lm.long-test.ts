import { readFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { packageFolder } from "../../src/package-folder.ts";
import type { DistillSummary } from "../../src/stages/distill.ts";
import { createRandom } from "../../src/stats/random.ts";
import { judgeFit, lmLogOdds, raiseBy } from "../../src/student/lm-head.ts";
import { readStudent } from "../../src/student/model-file.ts";
import { lowerBy } from "../../src/student/student.ts";
import { trainLmHead } from "../../src/student/train-lm-head.ts";
import { alpagasus } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { writeStandInEmbedder } from "../helpers/stand-in-embedder.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* A student with a language model; the model itself is in the trainer's suite. */

let folder: TempFolder;
let embedder: ReturnType<typeof writeStandInEmbedder>;
let env: Record<string, string>;

beforeEach(() => {
  folder = tempFolder();
  embedder = writeStandInEmbedder(folder);
  env = { PATH: `${embedder.path}:${process.env["PATH"]}` };
  folder.write("model/config.json", { model_type: "bert" });
});
afterEach(() => folder[Symbol.dispose]());

test("distill makes it, and each text's vector is made once", async () => {
  const read = (name: string) => JSON.parse(readFileSync(`${packageFolder}samples/${name}`, "utf8")) as unknown[];
  folder.write("rows.json", read("alpaca-2000.json").slice(0, 300));
  folder.write("scores.json", read("alpaca-2000.gpt-4o-mini.json").slice(0, 300));
  const run = (...args: string[]) => alpagasus(args, { cwd: folder.path, env });
  const made = await run(
    ..."distill rows.json --ratings recorded:scores.json --lm model --out mine.student --json".split(" "),
  );
  expect(made.code, made.stderr).toBe(0);
  const { lm } = JSON.parse(made.stdout) as DistillSummary;
  expect(lm).toMatchObject({ model: "model", rows: 300 });
  expect(lm!.auc).toBeGreaterThan(0.6);
  const asked = embedder.asked();
  expect(new Set(asked).size).toBe(asked.length);

  const rated = await run(..."rate rows.json --judge student-lm:mine.student".split(" "));
  expect(rated.code, rated.stderr).toBe(0);
  expect(rated.stdout).toContain("student-lm imitates");
  expect(embedder.asked()).toEqual(asked); // the vectors of these rows were kept
  const ratings = parseLines(readFileSync(`${folder.path}/runs/default/ratings.jsonl`, "utf8"));
  expect(ratings).toHaveLength(300);
  for (const rating of ratings)
    expect(rating).toMatchObject({ state: "scored", marks: { fits: expect.any(Number) as number } });

  const plain = await run(..."distill rows.json --ratings recorded:scores.json --out plain.student".split(" "));
  expect(plain.code, plain.stderr).toBe(0);
  const refused = await run(..."rate rows.json --judge student-lm:plain.student --run runs/other".split(" "));
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("distill --lm minilm")]);
});

test("the embedded student has one, of MiniLM", async () => {
  const { lm } = await readStudent(`${packageFolder}students/gpt-4o-mini-alpaca.student`);
  expect(lm).toMatchObject({ model: "minilm", trainedOn: 1500 });
  const features = { fitLogOdds: 0, promptLength: 60, answerLength: 300 };
  expect(lmLogOdds({ ...features, cosine: 0.7 }, lm!)).toBeGreaterThan(lmLogOdds({ ...features, cosine: 0 }, lm!) + 4);
});

test("what was lowered is raised again", () => {
  const probabilities = Float64Array.of(0.1, 0.2, 0.7);
  const lowered = Float64Array.from(probabilities);
  lowerBy(0.3, lowered);
  raiseBy(0.3, lowered).forEach((value, i) => expect(value).toBeCloseTo(probabilities[i]!, 12));
  expect([...raiseBy(0, Float64Array.of(1, 0, 0))]).toEqual([1, 0, 0]);
});

test("its head finds a feature that tells, says how well on rows it was not trained on, and keeps the agreement", () => {
  const random = createRandom(1);
  const viewOf = (cosine: number) => ({
    features: { fitLogOdds: 2 * random() - 1, cosine, promptLength: 50, answerLength: 20 + 300 * random() },
    expected: 3 * random(),
  });
  const rows = Array.from({ length: 600 }, () => {
    const whole = viewOf(0.45 + 0.3 * random());
    return { teacher: Math.round(whole.expected + random()), whole, spoilt: viewOf(0.4 * random()) };
  });
  const head = trainLmHead("some", rows);
  expect(head.heldOut.auc).toBeGreaterThan(0.98);
  expect(head.heldOut.scoreAuc).toBeGreaterThan(0.8);
  expect(head.heldOut.spearman).toBeGreaterThan(head.heldOut.spearmanWithout - 0.0141);
  const { fits, factor } = judgeFit(0, { unfitShare: 0.5, sharpness: 2 });
  expect([fits, factor]).toEqual([0.5, 0.5]);
  const noise = trainLmHead(
    "some",
    rows.map((row) => ({ ...row, spoilt: viewOf(0.45 + 0.3 * random()) })),
  );
  expect(noise.heldOut.auc).toBeGreaterThan(0.4);
  expect(noise.heldOut.auc).toBeLessThan(0.6); // no feature tells: cross-validation does not pretend that one does
});
