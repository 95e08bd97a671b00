import { formatCount } from "../format.ts";
import { rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Dataset } from "../dataset/dataset.ts";
import { DataError, RunError, UsageError } from "../errors.ts";
import { partialPath } from "../files/atomic-file.ts";
import type { Judge } from "../judge/judge.ts";
import { rateAll } from "../judge/rate-all.ts";
import { createRandom, shuffledIndices, defaultSeed } from "../stats/random.ts";
import type { StudentCard } from "../student/card.ts";
import { distillNetwork, type HeldOutRow } from "../student/distill.ts";
import { fitLogOdds, type LmHead } from "../student/lm-head.ts";
import { readLmTexts } from "../student/lm-texts.ts";
import { trainLmHead } from "../student/train-lm-head.ts";
import { cosine } from "../stats/cosine.ts";
import type { Embedded, LocalEmbedder } from "../vectors/embedded.ts";
import { encodeStudent } from "../student/model-file.ts";
import { TrainingSetBuilder } from "../student/training-set.ts";
import { version } from "../version.ts";
import type { StageOptions } from "./progress.ts";
import { describeWeakness } from "../student/weakness.ts";
import { makeFolder } from "../files/make-folder.ts";

export interface DistillOptions extends StageOptions {
  /** The judge whose ratings the student learns from: a recording, or a run. */
  readonly teacher: Judge;
  /** The file to write. */
  readonly out: string;
  /** The teacher's name for the card; the judge's own when absent. */
  readonly teacherName?: string | undefined;
  /** The licence of the training data, for the card. */
  readonly licence?: string | undefined;
  readonly seed?: number | undefined;
  /** Most rows to train on, drawn with the seed. */
  readonly maxRows?: number | undefined;
  /** A model on this machine whose vectors tell whether answers fit, for `student-lm:FILE`: `minilm`, as `embed --model` takes it. */
  readonly lm?: string | undefined;
}

export interface DistillSummary {
  readonly path: string;
  readonly bytes: number;
  readonly card: StudentCard;
  /** What the language model adds, on held-out rows, and its name. */
  readonly lm?: (LmHead["heldOut"] & { readonly model: string }) | undefined;
  /** Rows of the data, and how many of them had a score to learn from. */
  readonly rows: number;
  readonly scoredRows: number;
  /** Reasons not to trust this student. */
  readonly alarms: readonly string[];
  readonly wallMs: number;
}

const defaultMaxRows = 200_000; // some 80 MB of features; more rows hardly help a model of this size
const leastRows = 100; // with fewer, five-fold validation measures nothing
const fewRows = 1000; // on Alpaca a student of 1,000 rows reaches Spearman .63, one of 5,000 .68, one of 42,002 .72
const mostClasses = 21; // a 0 to 10 scale in halves; finer scales are cut into ten classes of equal size

/**
 * Trains a student on a judge's ratings of a dataset and writes it, with its agreement on held-out rows, to a file that
 * `--judge student:FILE` uses. Ratings without a score are left out.
 *
 * @throws DataError when fewer than 100 rows have a score, or all have the same
 */
export async function distill(dataset: Dataset, options: DistillOptions): Promise<DistillSummary> {
  const startedAt = Date.now();
  if (options.maxRows !== undefined && options.maxRows < leastRows)
    throw new UsageError(`--max-rows: expected at least ${leastRows}, got ${options.maxRows}`);
  const seed = options.seed ?? defaultSeed;
  const embedder = await openLm(options); // a model that is not there is told first
  const scores = await readScores(dataset, options);
  const chosen = chooseRows(scores, options.maxRows ?? defaultMaxRows, seed);
  const classes = classify(scores, chosen, dataset.source);

  const builder = new TrainingSetBuilder(createRandom(seed));
  for await (const batch of dataset.batches()) {
    options.signal?.throwIfAborted();
    for (const example of batch)
      if (chosen[example.index]) builder.add(example, classes.classOf(scores[example.index]!));
  }
  const set = builder.build();
  const { heldOut, heldOutFit, heldOutRows, ...model } = await distillNetwork(set, {
    scores: classes.scores,
    seed,
    signal: options.signal,
    onProgress: (share) =>
      options.onProgress?.({
        stage: "distill",
        doing: "training",
        done: Math.round(share * 100),
        total: 100,
        unit: "percent",
      }),
  });
  const teacher = options.teacherName ?? options.teacher.name;
  const card: StudentCard = {
    format: "alpagasus-student",
    version: 2,
    name: `student of ${teacher}`,
    scores: classes.scores,
    teacher,
    trainedOn: {
      data: dataset.source,
      rows: set.rowCount,
      licence: options.licence,
    },
    heldOut,
    fit: heldOutFit,
    seed,
    madeWith: `alpagasus ${version}`,
  };
  const lm = embedder && (await trainLm(embedder, dataset, chosen, heldOutRows, scores, options));
  const bytes = encodeStudent({ card, ...model, lm });
  await writeWhole(options.out, bytes);
  const scoredRows = scores.reduce((sum, score) => sum + (Number.isNaN(score) ? 0 : 1), 0);
  return {
    path: options.out,
    bytes: bytes.length,
    card,
    rows: scores.length,
    scoredRows,
    lm: lm && { ...lm.heldOut, model: lm.model },
    alarms: describeDoubts(card),
    wallMs: Date.now() - startedAt,
  };
}

/** The model of `lm`, which loads nothing yet. @throws UsageError when there is no such model */
async function openLm({ lm, signal }: DistillOptions): Promise<LocalEmbedder | undefined> {
  if (lm === undefined) return undefined;
  const { openLocalEmbedder } = await import("../vectors/local-embedder.ts");
  return openLocalEmbedder({ model: lm, signal });
}

const lmRows = 1_500; // each takes three vectors; more hardly help four features

/** Trains what a language model adds, on held-out rows. */
async function trainLm(
  embedder: LocalEmbedder,
  dataset: Dataset,
  chosen: Uint8Array,
  heldOutRows: readonly HeldOutRow[],
  scores: Float64Array,
  { onProgress, seed = defaultSeed }: DistillOptions,
): Promise<LmHead> {
  async function* rowsOfSet() {
    for await (const batch of dataset.batches()) for (const example of batch) if (chosen[example.index]) yield example;
  }
  const rows = heldOutRows.slice(0, lmRows);
  const texts = await readLmTexts(
    rowsOfSet(),
    rows.map(({ row }) => row),
    seed,
  );
  const { name: model } = embedder;
  try {
    async function* all() {
      yield texts.flatMap(({ prompt, answer, spoilt }) => [prompt, answer, spoilt]);
    }
    const vectors: (Float32Array | undefined)[] = [];
    for await (const embedded of embedder.embed(all())) {
      for (const one of embedded) vectors.push(vectorOf(one, model));
      const { done, phase } = embedder.work();
      onProgress?.({
        stage: "distill",
        doing: phase ?? "making vectors",
        done: Math.floor(done / 3),
        total: texts.length,
        unit: "rows",
      });
    }
    const rowOf = Uint32Array.from(chosen.keys()).filter((row) => chosen[row] === 1); // of the data
    return trainLmHead(
      model,
      rows.map(({ row, whole, spoilt }, i) => {
        const { prompt, answer, spoilt: other } = texts[i]!;
        const [promptVector, answerVector, otherVector] = vectors.slice(3 * i, 3 * i + 3);
        const featuresOf = (fits: number, text: string, vector: Float32Array | undefined) => ({
          fitLogOdds: fitLogOdds(fits, 0.5),
          cosine: promptVector && vector ? cosine(promptVector, vector) : 0,
          promptLength: prompt.length,
          answerLength: text.length,
        });
        return {
          teacher: scores[rowOf[row]!]!,
          whole: { features: featuresOf(whole.fits, answer, answerVector), expected: whole.expected },
          spoilt: { features: featuresOf(spoilt.fits, other, otherVector), expected: spoilt.expected },
        };
      }),
    );
  } finally {
    await embedder.close();
  }
}

/** A text's vector; undefined for an empty text. @throws RunError when the model gives it none */
function vectorOf(embedded: Embedded, model: string): Float32Array | undefined {
  if (embedded.state === "embedded") return embedded.vector;
  if (embedded.state === "refused") return undefined;
  throw new RunError(`${model}: a text got no vector: ${embedded.detail ?? "no reason was given"}`);
}

/** The teacher's score of each row; NaN when there is none. */
async function readScores(dataset: Dataset, options: DistillOptions): Promise<Float64Array> {
  const scores: number[] = [];
  for await (const ratings of rateAll(options.teacher, dataset.batches())) {
    options.signal?.throwIfAborted();
    for (const rating of ratings) scores.push(rating.state === "scored" ? rating.score : NaN);
    options.onProgress?.({ stage: "distill", doing: "reading ratings", done: scores.length, unit: "rows" });
  }
  return Float64Array.from(scores);
}

function chooseRows(scores: Float64Array, most: number, seed: number): Uint8Array {
  const scored = Uint32Array.from(scores.keys()).filter((row) => !Number.isNaN(scores[row]!));
  const chosen = new Uint8Array(scores.length);
  const order =
    scored.length > most ? shuffledIndices(scored.length, createRandom(seed)).slice(0, most) : scored.keys();
  for (const i of order) chosen[scored[i]!] = 1;
  return chosen;
}

interface Classes {
  /** The score that each class stands for, ascending. */
  readonly scores: number[];
  classOf(score: number): number;
}

function classify(scores: Float64Array, chosen: Uint8Array, source: string): Classes {
  const values = scores.filter((_, row) => chosen[row] === 1).sort();
  if (values.length < leastRows)
    throw new DataError(
      `${source}: expected at least ${leastRows} rows with a score to learn from, got ${values.length}; rate more rows first`,
    );
  const distinct = Array.from(new Set(values));
  if (distinct.length === 1)
    throw new DataError(
      `${source}: expected scores that differ, got ${distinct[0]} for every row; there is nothing to learn from such a judge`,
    );
  if (distinct.length <= mostClasses) {
    const numbers = new Map(distinct.map((score, i) => [score, i]));
    return { scores: distinct, classOf: (score) => numbers.get(score)! };
  }
  const edges = [...new Set(Array.from({ length: 10 }, (_, i) => values[Math.floor((i * values.length) / 10)]!))];
  const classOf = (score: number) =>
    Math.max(
      0,
      edges.findLastIndex((edge) => score >= edge),
    );
  const sums = edges.map(() => ({ rows: 0, sum: 0 }));
  for (const value of values) {
    const own = sums[classOf(value)]!;
    own.rows++;
    own.sum += value;
  }
  return { scores: sums.map(({ rows, sum }) => sum / rows), classOf };
}

function describeDoubts({ trainedOn, heldOut }: StudentCard): string[] {
  const doubts: string[] = [];
  if (trainedOn.rows < fewRows)
    doubts.push(
      `${formatCount(trainedOn.rows)} rated rows are too few to trust a student; rate at least ${formatCount(fewRows)}, better 5,000`,
    );
  const weakness = describeWeakness({ heldOut });
  if (weakness !== undefined) doubts.push(weakness);
  return doubts;
}

async function writeWhole(path: string, bytes: Buffer): Promise<void> {
  const partial = partialPath(path);
  makeFolder(dirname(path));
  try {
    await writeFile(partial, bytes);
    await rename(partial, path);
  } finally {
    await rm(partial, { force: true });
  }
}
