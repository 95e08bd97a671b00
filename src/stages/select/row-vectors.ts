import { readTargetTexts, hashTexts } from "../../embedding/texts.ts";
import { RunError, UsageError } from "../../errors.ts";
import type { RatedManifest } from "../../run/manifest.ts";
import type { EmbeddingSummary } from "../../run/records/embedding.ts";
import type { RunFolder } from "../../run/run-folder.ts";
import { openVectors, type VectorsReader } from "../../run/vectors-file.ts";
import { shellWord } from "../../shell-word.ts";
import { isDiverseByVectors, type SelectOptions } from "./plan.ts";

/** The run's vectors that a selection goes by. */
export interface RowVectors extends Disposable {
  readonly embedding: EmbeddingSummary;
  readonly rows: VectorsReader;
  /** Of the examples that rows are chosen near to, in the order of their file; undefined where one has none. */
  readonly targets: readonly (Float32Array | undefined)[];
  /** Hashes of those examples' texts, and of their vectors' file. */
  readonly target: { readonly hash: string; readonly sha256: string } | undefined;
}

/** The option that needs vectors; undefined where none does. */
function vectorsOption(options: SelectOptions): string | undefined {
  if (options.toward !== undefined) return "--toward";
  if (options.method === "representative") return "--method representative";
  if (options.dedup === "semantic") return "--dedup semantic";
  return options.diverse !== undefined && isDiverseByVectors(options) ? "--diverse" : undefined;
}

/**
 * Opens the vectors that the options need: those named, or the only ones.
 *
 * @throws RunError when the run has none of these rows, UsageError when the name is none or several could be meant
 */
export async function openRowVectors(
  options: SelectOptions,
  manifest: RatedManifest,
  run: RunFolder,
): Promise<RowVectors | undefined> {
  const option = vectorsOption(options);
  if (option === undefined) return undefined;
  const { embeddings = {}, dataset } = manifest;
  const targetFlag = options.toward === undefined ? "" : ` --target ${shellWord(options.toward)}`;
  const names = Object.keys(embeddings);
  const name = options.vectors ?? (names.length === 1 ? names[0]! : undefined);
  const embedding = name === undefined || !Object.hasOwn(embeddings, name) ? undefined : embeddings[name];
  if (names.length === 0)
    throw new RunError(
      `${run.folder}: ${option} expected vectors of the rows, found none; make them: alpagasus embed --run ${shellWord(run.folder)}${targetFlag}`,
    );
  if (!embedding)
    throw new UsageError(
      name === undefined
        ? `${option}: expected --vectors NAME beside it, since the run has several: ${names.join(", ")}`
        : `--vectors: expected one of ${names.join(", ")}, got ${JSON.stringify(name)}`,
    );
  const own = `${embedding.name === embedding.model ? "" : ` --name ${embedding.name}`}${embedding.text === "row" ? "" : ` --text ${embedding.text}`}${embedding.maxLength === undefined ? "" : ` --max-length ${embedding.maxLength}`}`;
  const again = `alpagasus embed --run ${shellWord(run.folder)} --model ${shellWord(embedding.model)}${own}${targetFlag}`;
  if (embedding.datasetHash !== dataset.hash)
    throw new RunError(
      `${run.folder}: ${option} expected vectors of the rows that are rated, found ${embedding.name} of others; make them again: ${again}`,
    );
  if (embedding.dimensions === 0)
    throw new RunError(
      `${run.folder}: ${option} expected vectors, found ${embedding.name} without any; make them again: ${again}`,
    );
  const targets: (Float32Array | undefined)[] = [];
  let target: RowVectors["target"];
  if (options.toward !== undefined) {
    const hash = hashTexts(await readTargetTexts(options.toward, embedding.text));
    const found = Object.hasOwn(embedding.targets, hash) ? embedding.targets[hash]! : undefined;
    if (!found)
      throw new RunError(
        `${options.toward}: expected vectors of its rows by ${embedding.name}, found none (or it was changed since); make them: ${again}`,
      );
    target = { hash, sha256: found.sha256 };
    using file = await openVectors(run.targetVectorsPath(embedding.name, hash), found.sha256, again);
    for (let row = 0; row < file.rows; row++) targets.push(file.at(row));
  }
  const rows = await openVectors(run.vectorsPath(embedding.name), embedding.vectors.sha256, again);
  return { embedding, rows, targets, target, [Symbol.dispose]: () => rows[Symbol.dispose]() };
}
