import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Example } from "../../src/dataset/example.ts";
import { openDataset } from "../../src/dataset/open.ts";
import { createRecordedJudge } from "../../src/judge/recorded.ts";
import { createStudentJudge, embeddedStudentPath } from "../../src/judge/student.ts";
import { packageFolder } from "../../src/package-folder.ts";
import { distill } from "../../src/stages/distill.ts";
import { applyCalibration, fitCalibration } from "../../src/student/calibrate.ts";
import { createFeatureExtractor } from "../../src/student/features.ts";
import { denseNames } from "../../src/student/dense-features.ts";
import { decodeStudent, encodeStudent, readStudent } from "../../src/student/model-file.ts";
import { createPredictor, createViewer, expectedScore } from "../../src/student/student.ts";
import { createCorrupter } from "../../src/student/corrupt.ts";
import { areaUnderCurve } from "../../src/stats/agreement.ts";
import { createRandom } from "../../src/stats/random.ts";
import { measureProbabilities } from "../../src/student/distill.ts";
import { readExamples } from "../helpers/examples.ts";
import { describeWithSharedData, readSharedJson, sharedData } from "../helpers/shared-data.ts";
import { tempFolder } from "../helpers/temp-folder.ts";
import { isLong } from "../helpers/long.ts";

const sample = `${packageFolder}samples/alpaca-2000`;
const text = fc.string({ unit: "binary", maxLength: 300 });

describe("features", () => {
  const extract = createFeatureExtractor();
  const dense = (output: string, instruction = "", input = "") => {
    const features = extract({ output, instruction, input });
    return Object.fromEntries(denseNames.map((name, i) => [name, features.dense[i]!]));
  };

  it("counts what it says it counts", () => {
    const found = dense("Hello world.\n- one\n- two, 22 US", "Say hello?", "");
    expect(found["log characters of output"]).toBeCloseTo(Math.log1p(31), 5);
    expect(found["log newlines of output"]).toBeCloseTo(Math.log1p(2), 5);
    expect(found["log list lines of output"]).toBeCloseTo(Math.log1p(2), 5);
    expect(found["log digits"]).toBeCloseTo(Math.log1p(2), 5);
    expect(found["log capitals"]).toBeCloseTo(Math.log1p(3), 5);
    expect(found["log ? of instruction"]).toBeCloseTo(Math.log1p(1), 5);
    expect(found["share of instruction found in output"]).toBeCloseTo(1 / 4, 5); // say, its mark as the first word, hello, ?
    expect(found["output starts with a capital"]).toBe(1);
    expect(found["no input"]).toBe(1);
    expect(dense("I am sorry")["any refusal word"]).toBe(1);
  });

  it("is finite for any text, and depends on nothing but the row", () => {
    fc.assert(
      fc.property(text, text, text, (output, instruction, input) => {
        const first = extract({ output, instruction, input });
        const copy = {
          dense: [...first.dense],
          buckets: first.buckets.map((field, f) => [...field.subarray(0, first.counts[f])]),
        };
        extract({ output: "something else", instruction: input, input: output });
        const again = extract({ output, instruction, input });
        expect([...again.dense]).toEqual(copy.dense);
        expect(again.buckets.map((field, f) => [...field.subarray(0, again.counts[f])])).toEqual(copy.buckets);
        expect(copy.dense.every(Number.isFinite)).toBe(true);
        for (const field of copy.buckets) expect(new Set(field).size).toBe(field.length);
      }),
    );
  });
});

describe("the embedded student", () => {
  it("gives probabilities that sum to 1 for any text", async () => {
    const predict = createPredictor(await readStudent(embeddedStudentPath));
    fc.assert(
      fc.property(text, text, (instruction, output) => {
        const probabilities = predict({ instruction, input: "", output });
        expect(probabilities.reduce((sum, probability) => sum + probability, 0)).toBeCloseTo(1, 9);
      }),
    );
  });

  it("scores a full answer above a cut-off one and an empty one", async () => {
    const judge = await createStudentJudge();
    const instruction = "Give three tips for staying healthy.";
    const outputs = [
      "1. Eat a balanced diet with plenty of fruits and vegetables, so that your body gets the vitamins it needs.\n2. Exercise regularly to keep your body active and strong.\n3. Get enough sleep and keep a consistent schedule.",
      "Eat.",
      "",
    ];
    async function* examples() {
      yield outputs.map((output, index) => ({
        instruction,
        input: "",
        output,
        index,
        row: {},
        text: "",
        place: { path: "t", format: "jsonl", line: 1, ordinal: 1 } as const,
      }));
    }
    const scores: number[] = [];
    for await (const batch of judge.rate(examples()))
      for (const rating of batch) {
        if (rating.state !== "scored") continue;
        scores.push(rating.score);
        expect(rating.marks!["fits"]).toBeGreaterThan(0);
        expect(rating.marks!["fits"]).toBeLessThan(1);
      }
    expect(scores).toHaveLength(3);
    expect(scores[0]!).toBeGreaterThan(scores[1]! + 0.5);
    expect(scores[1]!).toBeGreaterThanOrEqual(scores[2]!);
  });

  it("says on its card what it learnt from", async () => {
    const { card } = await readStudent(embeddedStudentPath);
    expect(card).toMatchObject({
      teacher: "GPT-4o-mini",
      scores: [0, 1, 2, 3, 4, 5],
      trainedOn: { rows: 42_002 },
      heldOut: { rows: 10_000 },
    });
    const page = readFileSync(embeddedStudentPath.replace(/\.student$/, ".md"), "utf8");
    expect(page).toContain(`**${card.heldOut.spearman.value.toFixed(3)}**`);
    expect(page).toContain("CC BY-NC 4.0");
    expect(readFileSync(`${packageFolder}README.md`, "utf8")).toContain(
      `Spearman ${card.heldOut.spearman.value.toFixed(2)} on 10,000 rows`,
    );
  });
});

describe("rating many rows", () => {
  const count = 12_000; // the last ones are viewed by threads, where there are several cores
  const odd = ["\ud800 half a character", "数学を教えてください。", "", "naïve café\u0000", "x".repeat(9_000)];
  const example = (index: number): Example => ({
    index,
    instruction: `Say ${odd[index % odd.length]!.slice(0, 40)} ${index}`,
    input: odd[(index + 2) % odd.length]!,
    output: `Row ${index}: ${odd[index % 3]!}`,
    row: {},
    text: "",
    place: { path: "rows", format: "jsonl", line: index + 1, ordinal: index },
  });
  async function* examples() {
    for (let start = 0; start < count; start += 500) yield Array.from({ length: 500 }, (_, i) => example(start + i));
  }

  it.runIf(isLong)("gives each row what it has by itself, in order", async () => {
    const judge = await createStudentJudge();
    const view = createViewer(await readStudent(embeddedStudentPath));
    let row = 0;
    for await (const ratings of judge.rate(examples()))
      for (const rating of ratings) {
        const { probabilities, fits } = view(example(row++));
        expect(rating).toMatchObject({
          probabilities: Array.from(probabilities, (probability) => Math.round(probability * 1e4) / 1e4),
          marks: { fits: Math.round(fits * 1e4) / 1e4 },
        });
      }
    expect(row).toBe(count);
    expect(judge.alarms!.join()).toContain(`of ${count.toLocaleString("en")} rows are unlike`);
  });

  it.runIf(isLong)("leaves no thread behind when it is stopped", async () => {
    const judge = await createStudentJudge();
    const threads = () => (process.report.getReport() as { workers: unknown[] }).workers.length;
    const before = threads();
    let rated = 0;
    for await (const ratings of judge.rate(examples())) if ((rated += ratings.length) > 10_000) break;
    expect(rated).toBeLessThan(count);
    expect(threads()).toBe(before);
  });
});

describe("rows whose answer does not fit", () => {
  it("have the same prompt and another answer, the same ones with the same seed", () => {
    fc.assert(
      fc.property(fc.integer(), fc.array(fc.record({ instruction: text, input: text, output: text })), (seed, rows) => {
        const spoil = createCorrupter(createRandom(seed));
        const again = createCorrupter(createRandom(seed));
        for (const row of rows) {
          const spoilt = spoil(row);
          expect(spoilt).toMatchObject({ instruction: row.instruction, input: row.input });
          expect(spoilt.output).not.toBe(row.output);
          expect(again(row)).toEqual(spoilt);
        }
      }),
    );
  });
});

describe("a student's file", () => {
  it("keeps predictions through writing and reading", async () => {
    const model = await readStudent(embeddedStudentPath);
    const copy = decodeStudent(encodeStudent(model), "copy");
    const [row] = await readExamples(`${sample}.json`);
    const before = [...createPredictor(model)(row!)];
    createPredictor(copy)(row!).forEach((probability, i) => expect(probability).toBeCloseTo(before[i]!, 2));
    expect(copy.card).toEqual(model.card);
  });

  it("is refused when it is damaged, cut short or something else", async () => {
    using folder = tempFolder();
    const bytes = readFileSync(embeddedStudentPath);
    const damaged = Buffer.from(bytes);
    damaged[damaged.length - 100]! ^= 1;
    await expect(readStudent(folder.write("damaged.student", damaged))).rejects.toThrow(
      /damaged.student: the student's file is damaged/,
    );
    await expect(readStudent(folder.write("short.student", bytes.subarray(0, 300)))).rejects.toThrow(
      /short.student: the student's file is damaged/,
    );
    const end = 8 + bytes.readUInt32LE(4);
    const header = JSON.parse(bytes.toString("utf8", 8, end)) as {
      fit: { hidden: number; scales: { wide: number[] } };
    };
    for (const change of [
      () => (header.fit.hidden = 16),
      () => ((header.fit.hidden = 12), header.fit.scales.wide.pop()),
    ]) {
      change();
      const changed = Buffer.from(JSON.stringify(header));
      const start = Buffer.from(bytes.subarray(0, 8));
      start.writeUInt32LE(changed.length, 4);
      const file = folder.write("header.student", Buffer.concat([start, changed, bytes.subarray(end)]));
      await expect(readStudent(file)).rejects.toThrow(/header.student: .*its header does not match its tables/);
    }
    await expect(readStudent(folder.write("other.student", "[]"))).rejects.toThrow(/expected a student's file/);
    await expect(readStudent(`${folder.path}/none.student`)).rejects.toThrow(/none.student: no such file/);
  });
});

describe("calibration", () => {
  it("finds the temperature that made logits too bold", () => {
    const rows = 4000;
    const truth = Array.from({ length: rows }, (_, i) => ((i * 37) % 100) / 100); // probability of class 1
    const classes = truth.map((probability, i) => (((i * 7919) % 1000) / 1000 < probability ? 1 : 0));
    const bold = Float64Array.from(
      truth.flatMap((probability) => [0, 3 * Math.log((probability + 1e-3) / (1 - probability + 1e-3))]),
    );
    const calibration = fitCalibration(bold, classes, 2);
    expect(calibration.temperature).toBeGreaterThan(2);
    const row = Float64Array.from([0, 3 * Math.log(0.8 / 0.2)]);
    applyCalibration(row, calibration);
    expect(row[1]!).toBeCloseTo(0.8, 1);
  });
});

describe("distill", () => {
  if (isLong)
    it("learns a judge's taste from recorded ratings, the same way each time, and tells its held-out agreement", async () => {
      using folder = tempFolder();
      const train = async (out: string) =>
        distill(await openDataset(`${sample}.json`), {
          teacher: await createRecordedJudge(`${sample}.gpt-4o-mini.json`),
          out,
        });
      const summary = await train(`${folder.path}/a.student`);
      expect(summary).toMatchObject({
        rows: 2000,
        scoredRows: 2000,
        alarms: [],
        card: { heldOut: { how: "five folds", rows: 2000 } },
      });
      expect(summary.card.heldOut.spearman.value).toBeGreaterThan(0.6); // the recipe's own figure for 2,000 rows is .653
      await train(`${folder.path}/b.student`);
      expect(readFileSync(`${folder.path}/b.student`).equals(readFileSync(`${folder.path}/a.student`))).toBe(true);
    });

  it.runIf(isLong)("says when there are too few rows to trust it", async () => {
    using folder = tempFolder();
    const scores = JSON.parse(readFileSync(`${sample}.gpt-4o-mini.json`, "utf8")) as number[];
    const few = folder.write(
      "few.json",
      scores.map((score, i) => (i < 150 ? score : null)),
    );
    const { alarms, scoredRows } = await distill(await openDataset(`${sample}.json`), {
      teacher: await createRecordedJudge(few),
      out: `${folder.path}/few.student`,
    });
    expect(scoredRows).toBe(150);
    expect(alarms[0]).toMatch(/150 rated rows are too few to trust a student/);
  });

  if (isLong)
    it("learns from fine scales in classes of equal size", async () => {
      using folder = tempFolder();
      const examples = await readExamples(`${sample}.json`);
      const fine = folder.write(
        "fine.json",
        examples.map((example) => Math.log1p(example.output.length)),
      );
      const { card } = await distill(await openDataset(`${sample}.json`), {
        teacher: await createRecordedJudge(fine),
        out: `${folder.path}/fine.student`,
      });
      expect(card.scores).toHaveLength(10);
      expect(card.heldOut.spearman.value).toBeGreaterThan(0.9);
    });

  it.each<[string, (number | null)[], RegExp]>([
    [
      "too few scored rows",
      Array.from({ length: 2000 }, (_, i) => (i < 99 ? i % 5 : null)),
      /expected at least 100 rows with a score to learn from, got 99/,
    ],
    [
      "a judge that says the same to everything",
      Array<number>(2000).fill(4),
      /expected scores that differ, got 4 for every row/,
    ],
  ])("refuses %s", async (_title, scores, message) => {
    using folder = tempFolder();
    const teacher = await createRecordedJudge(folder.write("s.json", scores));
    await expect(
      distill(await openDataset(`${sample}.json`), { teacher, out: `${folder.path}/x.student` }),
    ).rejects.toThrow(message);
  });

  it("leaves no file when it is stopped", async () => {
    using folder = tempFolder();
    const controller = new AbortController();
    const out = `${folder.path}/x.student`;
    const training = distill(await openDataset(`${sample}.json`), {
      teacher: await createRecordedJudge(`${sample}.gpt-4o-mini.json`),
      out,
      signal: controller.signal,
      onProgress: ({ doing }) => doing === "training" && controller.abort(),
    });
    await expect(training).rejects.toThrow("aborted");
    expect(() => readFileSync(out)).toThrow("ENOENT");
  });
});

describeWithSharedData("the embedded student on the 10,000 held-out rows", () => {
  it("has exactly the figures of its card", { timeout: 120_000 }, async () => {
    const model = await readStudent(embeddedStudentPath);
    const predict = createPredictor(model);
    const ratings = readSharedJson("alpaca/ratings.gpt-4o-mini.json") as number[];
    const test = new Set((readSharedJson("alpaca/student_split.json") as number[]).slice(0, 10_000));
    const rows = (await readExamples(sharedData("alpaca/alpaca_data.json"))).filter((row) => test.has(row.index));
    const measured = measureProbabilities(
      Float64Array.from(rows.flatMap((row) => [...predict(row)])),
      rows.map((row) => ratings[row.index]!),
      model.card.scores,
      "",
    );
    const { heldOut } = model.card;
    expect(measured.spearman.value).toBeCloseTo(heldOut.spearman.value, 3);
    expect(measured.thresholds[2]!.auc).toBeCloseTo(heldOut.thresholds[2]!.auc!, 3);
    expect(measured.spearman.value).toBeGreaterThan(0.705);
    expect(measured.thresholds[2]!.calibrationError).toBeLessThan(0.03);
  });

  it("sees that an answer is another row's, by its mark and by its score", async () => {
    const model = await readStudent(embeddedStudentPath);
    const view = createViewer(model);
    const test = new Set((readSharedJson("alpaca/student_split.json") as number[]).slice(0, 10_000));
    const rows = (await readExamples(sharedData("alpaca/alpaca_data.json"))).filter((row) => test.has(row.index));
    const seen = rows.map((row, i) => {
      const output = i % 2 === 1 ? row.output : rows[(i + rows.length / 2) % rows.length]!.output;
      const { fits, probabilities } = view({ ...row, output });
      return { fits, score: expectedScore(probabilities, model.card.scores) };
    });
    const isTrue = Uint8Array.from(seen, (_, i) => i % 2);
    const auc = (values: number[]) => areaUnderCurve(Float64Array.from(values), isTrue);
    const [fits, score] = [auc(seen.map((one) => one.fits)), auc(seen.map((one) => one.score))];
    expect(fits).toBeGreaterThan(0.97);
    expect(score).toBeGreaterThan(0.8);
    expect(model.card.fit.auc).toBeGreaterThan(0.95); // of all kinds of answers that do not fit
    const card = readFileSync(embeddedStudentPath.replace(/\.student$/, ".md"), "utf8");
    expect(card).toContain(`| the answer to another prompt | ${fits.toFixed(3)} | ${score.toFixed(3)} |`);
    const short = (value: number) => value.toFixed(2).slice(1);
    expect(readFileSync(`${packageFolder}README.md`, "utf8")).toContain(`(AUC ${short(fits)})`);
    expect(readFileSync(`${packageFolder}docs/rating.md`, "utf8")).toContain(
      `an AUC of ${short(fits)} by \`fits\` and ${short(score)} by its score`,
    );
  });

  it("has only held-out rows in the shipped sample", async () => {
    const alpaca = await readExamples(sharedData("alpaca/alpaca_data.json"));
    const ratings = readSharedJson("alpaca/ratings.gpt-4o-mini.json") as number[];
    const test = (readSharedJson("alpaca/student_split.json") as number[]).slice(0, 2000).sort((a, b) => a - b);
    const rows = await readExamples(`${sample}.json`);
    expect(rows.map((row) => row.row)).toEqual(test.map((index) => alpaca[index]!.row));
    expect(JSON.parse(readFileSync(`${sample}.gpt-4o-mini.json`, "utf8"))).toEqual(test.map((index) => ratings[index]));
  });
});
