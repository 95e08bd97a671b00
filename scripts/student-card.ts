import type { Agreement } from "../src/stats/agreement.ts";
import type { Estimate } from "../src/stats/estimate.ts";
import type { LmHead } from "../src/student/lm-head.ts";
import type { StudentCard } from "../src/student/card.ts";

/** How the student does beside plain length, and on other judges' taste. */
export interface CardComparisons {
  readonly length: Agreement;
  readonly llama: Agreement;
  readonly llamaLength: Agreement;
  readonly claude: Agreement;
  /** The score that it would give if it took every answer to fit. */
  readonly unlowered: Agreement;
  readonly claudeLength: Agreement;
  /** How well the student tells true answers from spoilt ones, by how they were spoilt. */
  readonly fit: Readonly<Record<string, FitComparison>>;
  /** The same with the language model, on some of the rows. */
  readonly lm: {
    readonly head: LmHead;
    readonly rows: number;
    readonly spearman: Estimate;
    /** Of the student alone on these rows. */
    readonly student: Estimate;
    readonly fit: Readonly<Record<string, FitComparison>>;
  };
}

/** AUC with which the mark `fits`, and the score, tell true answers from others. */
export interface FitComparison {
  readonly fits: number;
  readonly score: number;
}

const minilm =
  "[all-MiniLM-L6-v2](https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2) (22 million parameters, Apache-2.0)";

/** The model card that ships beside the student. */
export function renderCard(card: StudentCard, others: CardComparisons): string {
  const { heldOut } = card;
  const { spearman } = heldOut;
  const number = (value: number | null | undefined) => (value === null || value === undefined ? "-" : value.toFixed(3));
  const auc = (agreement: Agreement, threshold: number) =>
    number(agreement.thresholds.find((line) => line.threshold === threshold)?.auc);
  return `# Model card: the embedded student (\`${card.name}.student\`)

A small classifier that imitates one judge: ${card.teacher}, asked by the authors of DS2 to score Alpaca rows from 0 to 5. It
reads hashed words and some fifty counts of instruction, input and output, and gives a probability for each score, and
one that the answer fits its prompt (the mark \`fits\`). It runs in
plain TypeScript, without a network or a key. This page and the file are made by \`node scripts/make-student.ts\`.

## What it was trained on

| | |
|---|---|
| rows | ${card.trainedOn.rows.toLocaleString("en")} of Alpaca-52k (Stanford Alpaca, **CC BY-NC 4.0**) |
| ratings | ${card.teacher}'s scores 0 to 5, as published by DS2 (UCSC-REAL/DS2, Apache-2.0) |
| held out | 10,000 rows of a fixed random split; the 2,000 rows of \`samples/\` are among them |

The file is derived from data under CC BY-NC 4.0: use it for non-commercial purposes only. The code that trains and runs it is
Apache-2.0; a student that you distil from your own data and judge is under your own terms.

## How it does on the ${heldOut.rows.toLocaleString("en")} held-out rows

Spearman with ${card.teacher}: **${number(spearman.value)}** (95 % interval ${number(spearman.low)} to ${number(spearman.high)}); plain output length reaches ${number(others.length.spearman.value)}. Root mean
square error of the expected score: ${heldOut.rootMeanSquareError.toFixed(3)}.

| teacher scores at least | rows | AUC | precision of as many from the top | precision by chance | calibration error |
|---|---|---|---|---|---|
${heldOut.thresholds.map((line) => `| ${line.threshold} | ${line.rows.toLocaleString("en")} | ${number(line.auc)} | ${number(line.precision)} | ${number(line.share)} | ${number(line.calibrationError)} |`).join("\n")}

## Whose taste it has

Judges disagree, and this one has ${card.teacher}'s taste. Measured on the same rows against others:

| reference | this student | plain output length |
|---|---|---|
| Llama-3.1-8B-Instruct's scores (Spearman) | ${number(others.llama.spearman.value)} | ${number(others.llamaLength.spearman.value)} |
| Claude's list of accurate rows (AUC) | ${auc(others.claude, 1)} | ${auc(others.claudeLength, 1)} |

An AUC under 0.5 means that it ranks Claude's rows below the others: Claude kept short exact answers where ${card.teacher} liked
long ones.

## Whether an answer fits its prompt

While it is trained, each row is shown a second time with an answer that does not fit: another row's, a cut or a repeated one, a
refusal. What it learns from them is the mark \`fits\`, the probability that an answer belongs to its prompt and is whole;
where it is low, so is the score. ${(100 * card.fit.unfitShare).toFixed(0)} answers in a hundred are taken not to fit. That costs
agreement with the teacher on these rows, few of which are spoilt: Spearman is ${number(spearman.value)} with it and ${number(others.unlowered.spearman.value)} without. With half of the held-out rows spoilt, AUC of true against spoilt rows:

| instead of the answer | \`fits\` | score | \`fits\` of student-lm | score of student-lm |
|---|---|---|---|---|
${Object.entries(others.fit)
  .map(([how, { fits, score }]) => {
    const { fits: lmFits, score: lmScore } = others.lm.fit[how]!;
    return `| ${how} | ${number(fits)} | ${number(score)} | ${number(lmFits)} | ${number(lmScore)} |`;
  })
  .join("\n")}

\`student-lm\` is this student with a language model, ${minilm}, which Python
runs on this machine. Whether an answer fits is then told by a logistic regression on four features (what the student's own
network says, the cosine of the vectors of prompt and answer, and the lengths of both) and their products, trained on
${others.lm.head.trainedOn.toLocaleString("en")} held-out rows as they are and spoilt. Its columns are of ${others.lm.rows.toLocaleString("en")} of the rows; there its Spearman with ${card.teacher} is ${number(others.lm.spearman.value)}
(${number(others.lm.spearman.low)} to ${number(others.lm.spearman.high)}), the student's ${number(others.lm.student.value)}. It rates some ten rows a second on two cores. Probabilities by a causal model
(IFD with SmolLM2) were tried in place of the vectors, on 600 rows: they tell less (AUC of \`fits\` for another prompt's answer .994, with
vectors .998), in five times the time. As features of the score the vectors add hardly anything (Spearman +.008 at best). How much
agreement student-lm may cost was chosen among five values with figures of this table in sight, so that they are slightly flattered.

Both compare words and topics and know no facts: a wrong number hardly shows.

## What it must not be used for

- As evidence that one dataset or model is better than another: it is a rehearsal of a judge, not a judge.
- On text unlike Alpaca's short English instructions (other languages, long conversations, code bases): it was not measured there.
- For facts: it has no knowledge and cannot see that a fluent answer is wrong.
- With the paper's threshold of 4.5: its teacher scored lower. Choose by rank (\`--top 10%\`), or distil a student of your own judge.
`;
}
