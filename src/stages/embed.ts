import type { Dataset } from "../dataset/dataset.ts";
import { reopenDataset } from "../dataset/reopen.ts";
import type { Embedder } from "../embedding/embedder.ts";
import type { Embedded } from "../vectors/embedded.ts";
import { allTexts, hashTexts, readTargetTexts, textsOf } from "../embedding/texts.ts";
import { RunError } from "../errors.ts";
import { own, ownerOf } from "../files/owner-file.ts";
import { formatNumbered } from "../format.ts";
import type { RatedManifest } from "../run/manifest.ts";
import { expectName } from "../run/name.ts";
import type { EmbeddedText, EmbeddingSummary } from "../run/records/embedding.ts";
import { extendManifest, requireRatings, runFolder, type RunFolder } from "../run/run-folder.ts";
import { openVectorsWriter, type VectorsWriter } from "../run/vectors-file.ts";
import { makeFolder } from "../files/make-folder.ts";
import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { checkShare, vectorCoverageGate } from "./coverage.ts";
import { describeCalls } from "./describe-calls.ts";
import { Planner, type CallPlan } from "./plan-calls.ts";
import type { StageOptions } from "./progress.ts";
import { hashRows } from "./rate-checks.ts";
import { StageProgress } from "./stage-progress.ts";

export interface EmbedOptions extends Omit<StageOptions, "signal"> {
  /** The run's folder; its rows are embedded. */
  readonly run: string;
  readonly embedder: Embedder;
  /** The name of the vectors; from the model's when left out. */
  readonly name?: string | undefined;
  /** Which text of a row its vector is of: `row` (prompt and answer, the default), `prompt` or `answer`. */
  readonly text?: EmbeddedText | undefined;
  /** The limit that the embedder was opened with, for the record. */
  readonly maxLength?: number | undefined;
  /** Files of examples that rows are to be chosen near to (select --toward). With the text `prompt`, prompts suffice. */
  readonly targets?: readonly string[] | undefined;
  /** The least share of rows that must have a vector for the gate to hold, 0 to 1. */
  readonly minCoverage?: number | undefined;
  /** Replace vectors of that name by another model or of another text. */
  readonly overwrite?: boolean | undefined;
}

/**
 * Makes a vector of each row of a rated run, and of the rows of target files, and writes `embeddings/NAME.npy`. What was made before is
 * taken from the store.
 *
 * @throws RunError when the run has no ratings, holds vectors of that name by another model, or its data were changed
 * @throws UsageError when a target file has no rows
 */
export async function embed(options: EmbedOptions): Promise<EmbeddingSummary> {
  const startedAt = new Date();
  const { embedder, text = "row", maxLength, targets: targetFiles = [] } = options;
  checkShare("minCoverage", options.minCoverage);
  const run = runFolder(options.run);
  const { manifest, name } = await checkEmbedding(options);
  const targets = [];
  for (const file of targetFiles) targets.push({ file, texts: await readTargetTexts(file, text) }); // before anything is paid
  const path = run.vectorsPath(name);
  makeFolder(dirname(path));
  using owned = await own(`${path}.pid`);
  if (!owned)
    throw new RunError(
      `${path}: expected vectors that no other process is writing, ${ownerOf(`${path}.pid`) ?? "another one"} does; wait for it, or call these otherwise with --name`,
    );
  const dataset = await reopenDataset(manifest.dataset, run);
  if ((await hashRows(dataset)) !== manifest.dataset.hash)
    throw new RunError(`${dataset.source}: expected the rows that were rated, got others; rate the data again`);

  const lost = new Map<string, number>(); // by reason
  let pending = 0;
  let [done, total] = [0, manifest.dataset.rows];
  let doing = "embedding";
  using progress = new StageProgress({
    run,
    stage: "embed",
    doing: () => embedder.work().phase ?? doing,
    unit: "rows",
    total,
    onProgress: options.onProgress,
    calls: embedder.asker && (() => embedder.asker!.calls()),
    done: () => Math.min(total, Math.max(done, embedder.work().done)),
  });
  progress.begin();
  const write = async (
    writer: VectorsWriter,
    rows: number,
    texts: AsyncIterable<readonly string[]>,
  ): Promise<number> => {
    let embedded = 0;
    [done, total] = [0, rows];
    for await (const some of embedder.embed(texts)) {
      for (const one of some) {
        if (one.state === "embedded") embedded++;
        else if (one.state === "pending") pending++;
        else lost.set(reasonOf(one), (lost.get(reasonOf(one)) ?? 0) + 1);
        const written = writer.write(one.state === "embedded" ? one.vector : undefined);
        if (written) await written;
      }
      done += some.length;
      progress.update();
    }
    return embedded;
  };
  // all files appear when all are complete: what was there before stays until then
  const files: {
    source: string | undefined;
    hash: string;
    rows: number;
    embedded: number;
    to: string;
    writer: VectorsWriter;
  }[] = [];
  const made: EmbeddingSummary["targets"] = {};
  let vectors: EmbeddingSummary["vectors"] | undefined;
  let dimensions = 0;
  try {
    const add = async (
      source: string | undefined,
      hash: string,
      to: string,
      rows: number,
      texts: AsyncIterable<readonly string[]>,
    ) => {
      const writer = openVectorsWriter(to, rows);
      const file = { source, hash, rows, embedded: 0, to, writer };
      files.push(file);
      file.embedded = await write(writer, rows, texts);
    };
    await add(undefined, "", path, manifest.dataset.rows, textsOf(dataset, text));
    doing = "embedding the target";
    for (const { file, texts } of targets) {
      const hash = hashTexts(texts);
      if (!files.some((other) => other.hash === hash))
        await add(file, hash, run.targetVectorsPath(name, hash), texts.length, inOne(texts));
    }
    const sizes = new Set(files.map(({ writer }) => writer.dimensions).filter((size) => size > 0));
    if (sizes.size > 1)
      throw new RunError(
        `${embedder.name}: expected vectors of one size, got ${[...sizes].join(" and ")} values; is it another model now?`,
      );
    dimensions = [...sizes][0] ?? 0;
    for (const { source, hash, rows, embedded, to, writer } of files) {
      const file = { rows, embedded, path: to, sha256: await writer.commit() };
      if (source === undefined) vectors = file;
      else made[hash] = { source, ...file };
    }
  } finally {
    for (const { writer } of files) await writer.discard();
  }
  const summary: EmbeddingSummary = {
    name,
    model: embedder.name,
    text,
    maxLength,
    dimensions,
    datasetHash: manifest.dataset.hash,
    vectors: vectors!, // committed above
    targets: { ...(await keepTargets(manifest, name, vectors!.sha256, made, run)), ...made },
    notes: [...embedder.notes(), ...describeLost(lost)],
    ...(embedder.asker ? describeCalls(embedder.asker, pending) : {}),
    gates: files.map(({ source, embedded, rows }) => vectorCoverageGate(source, embedded, rows, options.minCoverage)),
    command: options.command,
    startedAt: startedAt.toISOString(),
    wallMs: Date.now() - startedAt.getTime(),
  };
  await extendManifest(run, (latest) => ({ embeddings: { ...latest?.embeddings, [name]: summary } }));
  return summary;
}

/**
 * Looks whether a run can have such vectors, before anything is made or planned.
 *
 * @throws RunError when it has no ratings, or vectors of that name that were made otherwise
 */
export async function checkEmbedding(
  options: Pick<EmbedOptions, "run" | "embedder" | "name" | "text" | "maxLength" | "overwrite">,
): Promise<{ readonly manifest: RatedManifest; readonly name: string }> {
  const { embedder, text = "row", maxLength } = options;
  const manifest = await requireRatings(runFolder(options.run));
  const name = options.name ?? `${nameOf(embedder.name)}${text === "row" ? "" : `-${text}`}`;
  expectName("--name", name);
  expectSame(manifest, name, { model: embedder.name, text, maxLength }, options);
  return { manifest, name };
}

/**
 * Plans what `embed` would ask, without any call.
 *
 * @param options.dataset opens the rows
 */
export async function planEmbedding({
  dataset,
  embedder,
  text = "row",
  targets = [],
  retryFailed = false,
}: Pick<EmbedOptions, "embedder" | "text" | "targets"> & {
  readonly dataset: () => Promise<Dataset>;
  readonly retryFailed?: boolean | undefined;
}): Promise<CallPlan> {
  const planner = new Planner(embedder.asker!, retryFailed); // a model on this machine calls nothing
  for await (const texts of allTexts(dataset, text, targets))
    for (const one of texts) planner.add(embedder.ask(one), []);
  return planner.plan("rows", embedder.notes());
}

async function* inOne(texts: readonly string[]): AsyncGenerator<readonly string[]> {
  yield texts;
}

/** `sentence-transformers/all-mpnet-base-v2` → `all-mpnet-base-v2`, `http://HOST/v1#org/bge-m3` → `bge-m3`. */
function nameOf(model: string): string {
  const [, last = model] = /([^:#/]+)\/?$/.exec(model) ?? [];
  return last.replace(/[^\w.-]+/g, "_").replace(/^\W+/, "") || "vectors";
}

type Settings = Pick<EmbeddingSummary, "model" | "text" | "maxLength">;

/** @throws RunError when the run has vectors of that name that were made otherwise */
function expectSame(
  { embeddings }: RatedManifest,
  name: string,
  settings: Settings,
  { run, overwrite }: Pick<EmbedOptions, "run" | "overwrite">,
): void {
  const previous = embeddings?.[name];
  const describe = ({ model, text, maxLength }: Settings) =>
    `${model}, of the ${text}${maxLength === undefined ? "" : `, at most ${maxLength} tokens`}`;
  if (!previous || overwrite || describe(previous) === describe(settings)) return;
  throw new RunError(
    `${run}: holds vectors called ${name} that were made otherwise (${describe(previous)}, not ${describe(settings)}); give these another name with --name, or replace them with --overwrite`,
  );
}

/** Targets of earlier commands, while the rows' vectors are the same. Those of an earlier state of a file are removed. */
async function keepTargets(
  { embeddings }: RatedManifest,
  name: string,
  sha256: string,
  made: EmbeddingSummary["targets"],
  run: RunFolder,
): Promise<EmbeddingSummary["targets"]> {
  const previous = embeddings?.[name];
  const sources = new Set(Object.values(made).map(({ source }) => source));
  const kept: EmbeddingSummary["targets"] = {};
  for (const [hash, target] of Object.entries(previous?.targets ?? {})) {
    if (previous!.vectors.sha256 === sha256 && !sources.has(target.source)) kept[hash] = target;
    else if (!Object.hasOwn(made, hash)) await rm(run.targetVectorsPath(name, hash), { force: true });
  }
  return kept;
}

const mostReasons = 3;

function reasonOf(one: Embedded): string {
  return one.state === "embedded" ? "" : (one.detail ?? one.state);
}

function describeLost(lost: ReadonlyMap<string, number>): string[] {
  return [...lost]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, mostReasons)
    .map(([reason, count]) => `${formatNumbered(count, "text has", "texts have")} no vector: ${reason}`);
}
