/*
 * Makes the embedded student, its card and the sample from the published data in ../shared/data:
 *
 *   node scripts/make-student.ts
 *
 * It needs uv, for the language model of student-lm, and some ten minutes.
 *
 * The student learns from all rows but the 10,000 test rows of the split; its card's figures are of those test rows,
 * measured on the file as it is shipped. The sample's 2,000 rows are test rows too.
 */
import { readFile, writeFile } from "node:fs/promises";
import { openDataset } from "../src/dataset/open.ts";
import { createRecordedJudge } from "../src/judge/recorded.ts";
import { embeddedStudentPath } from "../src/judge/student.ts";
import { createStudentLmJudge } from "../src/judge/student-lm.ts";
import { distill } from "../src/stages/distill.ts";
import { measureProbabilities } from "../src/student/distill.ts";
import { encodeStudent, readStudent } from "../src/student/model-file.ts";
import type { Example } from "../src/dataset/example.ts";
import { createViewer, expectedScore } from "../src/student/student.ts";
import { areaUnderCurve, measureAgreement, spearman } from "../src/stats/agreement.ts";
import { createRandom, shuffledIndices } from "../src/stats/random.ts";
import { renderCard, type FitComparison } from "./student-card.ts";

const data = new URL("../../shared/data/alpaca/", import.meta.url).pathname;
const samples = new URL("../samples/", import.meta.url).pathname;
const testRows = 10_000;
const sampleRows = 2000;

const dataset = await openDataset(`${data}alpaca_data.json`);
const ratings = JSON.parse(await readFile(`${data}ratings.gpt-4o-mini.json`, "utf8")) as number[];
const split = JSON.parse(await readFile(`${data}student_split.json`, "utf8")) as number[];
const isTest = new Set(split.slice(0, testRows));

const trainingRatings = `${data}ratings.gpt-4o-mini.json`;
const recorded = await createRecordedJudge(trainingRatings);
let row = 0;
const summary = await distill(dataset, {
  teacher: {
    ...recorded,
    async *rate(examples) {
      row = 0;
      for await (const batch of recorded.rate(examples))
        yield batch.map((rating) => (isTest.has(row++) ? { state: "pending" as const } : rating));
    },
  },
  teacherName: "GPT-4o-mini",
  licence: "Alpaca: CC BY-NC 4.0; ratings: DS2, Apache-2.0",
  out: embeddedStudentPath,
  lm: "minilm",
});
console.log(`trained on ${summary.card.trainedOn.rows} rows in ${(summary.wallMs / 1000).toFixed(1)} s`);

const model = await readStudent(embeddedStudentPath);
const view = createViewer(model);
const llama = JSON.parse(await readFile(`${data}ratings.llama-3.1-8b-instruct.json`, "utf8")) as number[];
const claude = new Set(
  JSON.parse(await readFile(`${data}claude_accuracy_at_least_4.5.indices.json`, "utf8")) as number[],
);
const probabilities: number[] = [];
const fitting: number[] = [];
const rows: number[] = [];
const lengths: number[] = [];
const tested: Example[] = [];
for await (const batch of dataset.batches()) {
  for (const example of batch) {
    if (!isTest.has(example.index)) continue;
    const { probabilities: own, fits } = view(example);
    for (const probability of own) probabilities.push(probability);
    fitting.push(fits);
    rows.push(example.index);
    lengths.push(example.output.length);
    tested.push(example);
  }
}
const heldOut = measureProbabilities(
  Float64Array.from(probabilities),
  rows.map((index) => ratings[index]!),
  model.card.scores,
  "10,000 rows of a fixed split",
);
const { scores } = model.card;
const expected = rows.map((_, i) =>
  scores.reduce((sum, score, c) => sum + score * probabilities[i * scores.length + c]!, 0),
);
const wordsOf = (example: Example) =>
  new Set(`${example.instruction} ${example.input}`.toLowerCase().match(/\p{L}{4,}/gu));
const promptWords = tested.map(wordsOf);
/** The answer to the prompt that shares most words with this one, of 500. */
function nearestAnswer(example: Example, i: number): string {
  let best = { shared: -1, output: "" };
  for (let step = 1; step <= 500; step++) {
    const other = (i + step * 19) % testRows;
    let shared = 0;
    for (const word of promptWords[i]!) if (promptWords[other]!.has(word)) shared++;
    if (shared > best.shared && tested[other]!.output !== example.output)
      best = { shared, output: tested[other]!.output };
  }
  return best.output;
}
const other = (i: number) => tested[(i + testRows / 2) % testRows]!.output;
/** How an answer is spoilt; undefined for a row that has nothing to spoil. `at` is its place among the tested rows. */
const kinds: Readonly<Record<string, (example: Example, at: number) => string | undefined>> = {
  "the answer to another prompt": (_, at) => other(at),
  "the answer to a similar prompt (most words shared, of 500)": nearestAnswer,
  "the first half of the answer": ({ output }) => output.slice(0, Math.floor(output.length / 2)),
  "the answer, three times": ({ output }) => `${output}\n${output}\n${output}`,
  '"I cannot answer this."': () => "I cannot answer this.",
  "the answer with its words in random order": ({ output }, at) => {
    const words = output.split(/\s+/);
    return [...shuffledIndices(words.length, createRandom(at))].map((word) => words[word]).join(" ");
  },
  "the answer with every digit changed (rows with digits)": ({ output }) =>
    /\d/.test(output) ? output.replace(/\d/g, (digit) => String((Number(digit) + 3) % 10)) : undefined,
};

/** Of some rows, every second one with another answer: how well do `fits` and the score tell these rows? */
async function tellApart(
  rate: (rows: readonly Example[]) => Promise<readonly { readonly score: number; readonly fits: number }[]>,
  step: number,
): Promise<Record<string, FitComparison>> {
  const compared: Record<string, FitComparison> = {};
  for (const [kind, spoil] of Object.entries(kinds)) {
    const shown: Example[] = [];
    for (let at = 0; at < testRows; at += step) {
      const example = tested[at]!;
      const spoilt = spoil(example, at);
      if (spoilt !== undefined) shown.push(shown.length % 2 === 1 ? example : { ...example, output: spoilt });
    }
    const views = await rate(shown);
    const isTrue = Uint8Array.from(views, (_, i) => i % 2);
    const auc = (of: "fits" | "score") =>
      areaUnderCurve(
        Float64Array.from(views, (one) => one[of]),
        isTrue,
      );
    compared[kind] = { fits: auc("fits"), score: auc("score") };
  }
  return compared;
}
const fit = await tellApart(
  async (shown) =>
    shown.map((example) => {
      const { probabilities: own, fits } = view(example);
      return { score: expectedScore(own, scores), fits };
    }),
  1,
);
const card = {
  ...model.card,
  name: "gpt-4o-mini-alpaca",
  trainedOn: { ...model.card.trainedOn, data: "Alpaca-52k" },
  heldOut,
};
await writeFile(embeddedStudentPath, encodeStudent({ ...model, card }));
const lmStep = 10; // of the test rows, since it takes long
const lmJudge = await createStudentLmJudge();
const rateWithLm = async (shown: readonly Example[]) => {
  async function* inOneBatch() {
    yield shown;
  }
  const views: { score: number; fits: number }[] = [];
  for await (const batch of lmJudge.rate(inOneBatch()))
    for (const rating of batch) {
      if (rating.state !== "scored") throw new Error(`expected a score, got ${rating.state}: ${rating.detail}`);
      views.push({ score: rating.score, fits: rating.marks!["fits"]! });
    }
  return views;
};
const lmRows = tested.filter((_, at) => at % lmStep === 0);
const lmTeacher = lmRows.map(({ index }) => ratings[index]!);
const lmScores = (await rateWithLm(lmRows)).map(({ score }) => score);
const lm = {
  head: model.lm!,
  rows: lmRows.length,
  spearman: spearman(lmScores, lmTeacher),
  student: spearman(
    expected.filter((_, at) => at % lmStep === 0),
    lmTeacher,
  ),
  fit: await tellApart(rateWithLm, lmStep),
};
await writeFile(
  embeddedStudentPath.replace(/\.student$/, ".md"),
  renderCard(card, {
    length: measureAgreement(
      lengths,
      rows.map((index) => ratings[index]!),
    ),
    unlowered: measureAgreement(
      expected.map((score, i) => score / fitting[i]!), // the lowest score is 0
      rows.map((index) => ratings[index]!),
    ),
    llama: measureAgreement(
      expected,
      rows.map((index) => llama[index]!),
    ),
    llamaLength: measureAgreement(
      lengths,
      rows.map((index) => llama[index]!),
    ),
    claude: measureAgreement(
      expected,
      rows.map((index) => (claude.has(index) ? 1 : 0)),
    ),
    claudeLength: measureAgreement(
      lengths,
      rows.map((index) => (claude.has(index) ? 1 : 0)),
    ),
    fit,
    lm,
  }),
);

const alpaca = JSON.parse(await readFile(`${data}alpaca_data.json`, "utf8")) as unknown[];
const sample = split.slice(0, sampleRows).sort((a, b) => a - b);
await writeFile(
  `${samples}alpaca-2000.json`,
  `${JSON.stringify(
    sample.map((index) => alpaca[index]),
    null,
    2,
  )}\n`,
);
await writeFile(`${samples}alpaca-2000.gpt-4o-mini.json`, `${JSON.stringify(sample.map((index) => ratings[index]))}\n`);
