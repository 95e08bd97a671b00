import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { link, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import * as z from "zod";
import { LabelWriter, labelKey, readLabelFile, type PairLabel } from "../comparison/label-file.ts";
import {
  drawSample,
  hashAnswers,
  labelSampling,
  orderForAnnotator,
  type LabelSampling,
  type ShownPair,
} from "../comparison/label-sample.ts";
import { readVerdicts } from "../comparison/verdicts-file.ts";
import type { PairVerdict } from "../comparison/verdict.ts";
import type { Exchange } from "../dataset/prompts.ts";
import { RunError, UsageError } from "../errors.ts";
import { makeFolder } from "../files/make-folder.ts";
import { own, ownerOf } from "../files/owner-file.ts";
import { tryParse } from "../files/try-parse.ts";
import type { LabelState } from "../page/label-state.ts";
import type { Labelling } from "../page/label-server.ts";
import { expectName } from "../run/name.ts";
import type { ComparisonSummary } from "../run/records/comparison.ts";
import { comparisonName } from "../comparison/comparison-name.ts";
import { findComparison } from "../page/people-labels.ts";
import { runFolder, type RunFolder } from "../run/run-folder.ts";
import { defaultSeed } from "../stats/random.ts";

export interface LabelOptions {
  /** The run's folder. */
  readonly run: string;
  /** Who labels: the name of the annotator's file. */
  readonly annotator: string;
  /** The two arms, where the run has compared several. */
  readonly arms?: readonly [a: string, b: string] | undefined;
  /** How many pairs everybody labels (160, as in the paper's study, or all). Settled by the first annotator. */
  readonly size?: number | undefined;
  /** `set`: as many of each test set as its share; `contradiction`: first those whose judge contradicts itself. */
  readonly by?: LabelSampling | undefined;
  /** Share of the pairs that are shown again at the end (0.1). */
  readonly repeats?: number | undefined;
  readonly seed?: number | undefined;
}

/** A labelling that one annotator works on. */
export interface OpenLabelling extends Labelling, AsyncDisposable {
  readonly path: string;
  /** Pairs to label, and how many of them are shown again. */
  readonly pairs: number;
  readonly repeats: number;
}

const usualSize = 160; // the prompts of AlpaGasus's human study
const usualRepeats = 0.1;

const sampleSchema = z.object({
  a: z.string(),
  b: z.string(),
  size: z.number(),
  by: z.enum(labelSampling),
  repeats: z.number(),
  seed: z.number(),
  /** Drawn at random, so that nobody knows beforehand which answer stands where. */
  salt: z.string(),
  pairs: z.array(z.object({ set: z.string(), id: z.string(), answers: z.string() })).readonly(),
});
type LabelSample = z.infer<typeof sampleSchema>;

/**
 * Opens the labelling of a comparison for one annotator: pairs of answers without names, sides at random. All annotators of a run label the same
 * pairs, which the first one draws. Each has a file of its own, to which every label is written before it is answered.
 *
 * @throws UsageError for options that differ from those of the first annotator, RunError when there is nothing to label, or the annotator labels
 *   in another process
 */
export async function openLabelling(options: LabelOptions): Promise<OpenLabelling> {
  const { annotator } = options;
  expectName("--label", annotator);
  const run = runFolder(options.run);
  const comparison = await findComparison(run, options.arms);
  const verdicts = await readVerdicts(run.verdictsPath(basename(comparison.verdictsPath!, ".jsonl")));
  const { a, b } = comparison;
  makeFolder(run.labelsFolder(comparisonName(a, b, "people")));
  const sample = await openSample(run, { a, b }, verdicts, options);
  const path = run.labelsPath(comparisonName(a, b, "people"), annotator);
  const owned = await own(`${path}.pid`, {});
  if (!owned)
    throw new RunError(
      `${path}: expected an annotator whom no other process serves, ${ownerOf(`${path}.pid`) ?? "another one"} does; use its address, or another name with --label`,
    );
  const byPair = new Map(verdicts.map((verdict) => [JSON.stringify([verdict.set, verdict.id]), verdict]));
  const shown = orderForAnnotator(sample.pairs, { annotator, salt: sample.salt, repeats: sample.repeats });
  const writer = new LabelWriter(path);
  let labels: PairLabel[];
  try {
    labels = readLabelFile(path);
    const strange = labels.find((label) => label.a !== a || label.b !== b || label.annotator !== annotator);
    if (strange)
      throw new RunError(
        `${path}: expected the labels of ${annotator} on ${a} and ${b}, found one of ${strange.annotator} on ${strange.a} and ${strange.b}; move it away`,
      );
  } catch (error) {
    writer[Symbol.dispose]();
    owned[Symbol.dispose]();
    throw error;
  }
  const next = (): ShownPair | undefined => {
    const done = new Set(labels.map(labelKey));
    return shown.find((pair) => !done.has(labelKey(pair)));
  };
  const state = (): LabelState => {
    const pair = next();
    return {
      annotator,
      done: labels.length,
      total: shown.length,
      canUndo: labels.length > 0,
      last: labels.length > 0 ? labelKey(labels.at(-1)!) : undefined,
      pair: pair && {
        key: keyOf(shown, pair),
        ...textsOf(byPair.get(JSON.stringify([pair.set, pair.id]))!, pair.left),
      },
    };
  };
  return {
    path,
    pairs: sample.pairs.length,
    repeats: shown.length - sample.pairs.length,
    state,
    label({ key, choice, note, ms }) {
      const pair = next();
      if (!pair || keyOf(shown, pair) !== key)
        throw new RunError(
          "this pair is not the one to label now: it was labelled in another window; the page shows the next one",
        );
      const { set, id, answers, repeat, left } = pair;
      const right = left === "A" ? "B" : "A";
      const label = choice === "left" ? left : choice === "right" ? right : choice;
      const line = {
        a,
        b,
        annotator,
        set,
        id,
        label,
        answers,
        by: sample.by,
        left,
        repeat,
        note: note?.trim() || undefined,
        at: new Date().toISOString(),
        ms,
      };
      writer.append(line);
      labels.push(line);
      return state();
    },
    undo(key) {
      const last = labels.at(-1);
      if (!last || labelKey(last) !== key)
        throw new RunError("there is another last label by now: it was given or taken back in another window");
      const { set, id, repeat } = last;
      writer.append({ undo: { set, id, repeat } });
      labels.pop();
      return state();
    },
    async [Symbol.asyncDispose]() {
      writer[Symbol.dispose]();
      owned[Symbol.dispose]();
    },
  };
}

/** A pair's place among those that are shown: it tells nothing of the arms. */
function keyOf(shown: readonly ShownPair[], pair: ShownPair): string {
  return String(shown.indexOf(pair));
}

function textsOf(
  { instruction = "", input = "", answers, dialogues }: PairVerdict,
  left: "A" | "B",
): Pick<NonNullable<LabelState["pair"]>, "instruction" | "left" | "right" | "before"> {
  const [one, other] = left === "A" ? [0, 1] : [1, 0];
  return {
    instruction: input === "" ? instruction : `${instruction}\n\n${input}`,
    left: answers![one]!,
    right: answers![other]!,
    before: dialogues && { left: layOut(dialogues[one]!), right: layOut(dialogues[other]!) },
  };
}

function layOut(exchanges: readonly Exchange[]): string {
  return exchanges
    .slice(0, -1)
    .map(({ question, answer }) => `${question}\n\n→ ${answer}`)
    .join("\n\n");
}

/** Draws the pairs, or takes those that the first annotator drew. */
async function openSample(
  run: RunFolder,
  { a, b }: Pick<ComparisonSummary, "a" | "b">,
  verdicts: readonly PairVerdict[],
  { size, by, repeats, seed }: Pick<LabelOptions, "size" | "by" | "repeats" | "seed">,
): Promise<LabelSample> {
  const path = join(run.labelsFolder(comparisonName(a, b, "people")), "sample.json");
  const there = new Map(verdicts.map((verdict) => [JSON.stringify([verdict.set, verdict.id]), hashAnswers(verdict)]));
  if (existsSync(path)) {
    const found = sampleSchema.safeParse(tryParse(readFileSync(path, "utf8")));
    if (!found.success)
      throw new RunError(`${path}: expected the pairs to label, got something else; move the file away to draw anew`);
    const { data } = found;
    for (const [option, given, settled] of [
      ["--sample", size, data.size],
      ["--by", by, data.by],
      ["--repeats", repeats, data.repeats],
      ["--seed", seed, data.seed],
    ] as const)
      if (given !== undefined && given !== settled)
        throw new UsageError(
          `${option}: expected ${settled}, which the first annotator settled for all, got ${given}; leave it out, or move ${path} and the labels beside it away`,
        );
    const gone = data.pairs.find((pair) => there.get(JSON.stringify([pair.set, pair.id])) !== pair.answers);
    if (gone)
      throw new RunError(
        `${path}: expected pairs of this comparison, found ${gone.set} ${gone.id} with other answers: the arms were compared anew; move the folder away to label the new answers`,
      );
    return data;
  }
  const settings = {
    size: size ?? usualSize,
    by: by ?? "set",
    repeats: repeats ?? usualRepeats,
    seed: seed ?? defaultSeed,
  } as const;
  const sample: LabelSample = { a, b, ...settings, salt: randomUUID(), pairs: drawSample(verdicts, settings) };
  if (sample.pairs.length === 0)
    throw new RunError(`${run.folder}: expected pairs of different answers with their texts, found none to label`);
  const aside = `${path}.${process.pid}.partial`;
  await writeFile(aside, `${JSON.stringify(sample, null, 2)}\n`);
  try {
    await link(aside, path); // whole or not at all; fails where another annotator was first
    return sample;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
  } finally {
    await rm(aside, { force: true });
  }
  return openSample(run, { a, b }, verdicts, { size, by, repeats, seed });
}
