import { existsSync } from "node:fs";
import { tryParse } from "../files/try-parse.ts";
import { randomUUID } from "node:crypto";
import { link, rename, rm, writeFile } from "node:fs/promises";
import { readWhole } from "../files/read-file.ts";
import { basename, join, relative, resolve } from "node:path";
import * as z from "zod";
import { messageOf, RunError, UsageError } from "../errors.ts";
import { version } from "../version.ts";
import { isRated, manifestSchema, manifestVersion, type Manifest, type RatedManifest } from "./manifest.ts";
import { writeWhole } from "../files/atomic-file.ts";
import { makeFolder } from "../files/make-folder.ts";
import { waitForLock } from "../files/owner-file.ts";
import { processToken } from "../process-identity.ts";
import { shellWord } from "../shell-word.ts";

/** The paths of a run's files. */
export interface RunFolder {
  readonly folder: string;
  readonly manifestPath: string;
  readonly ratingsPath: string;
  /** The ratings of a named score. */
  scorePath(name: string): string;
  /** The vectors of the run's rows. @param name of the embedding */
  vectorsPath(name: string): string;
  /** The vectors of a file's rows. @param hash of their texts */
  targetVectorsPath(name: string, hash: string): string;
  /** @param arm its name; @param extension of the dataset's format, with its dot */
  armPath(arm: string, extension: string): string;
  decisionsPath(arm: string): string;
  /** The file of an arm that the manifest tells of, wherever the run lies now. */
  recordedArmPath(arm: { readonly path: string }): string;
  readonly answersFolder: string;
  readonly modelsFolder: string;
  answersPath(arm: string): string;
  /** A model's losses on the answers of a file with this name. */
  lossesPath(name: string, model: string): string;
  /** People's labels of two arms' answers. @param name of the comparison */
  labelsFolder(name: string): string;
  labelsPath(name: string, annotator: string): string;
  /** A model's items in a benchmark. @param settings what they were made with: a hash */
  benchmarkPath(model: string, task: string, settings: string): string;
  /** @param name of the comparison */
  verdictsPath(name: string): string;
  /** The folder of a trained model. */
  modelPath(model: string): string;
  readonly contaminationPath: string;
  /** What checks of judges found. */
  readonly judgeChecksPath: string;
  /** Under which name the replies of a check that has not ended are stored. */
  readonly openCheckPath: string;
  readonly reportPath: string;
}

export const defaultRunFolder = join("runs", "default");

/** The option that names a run in a command to type, with a space before it; empty for the default run. */
export function runFlag(folder: string): string {
  return folder === defaultRunFolder ? "" : ` --run ${shellWord(folder)}`;
}

export function runFolder(folder: string): RunFolder {
  if (folder.trim() === "") throw new UsageError("--run: expected a folder, got an empty name");
  return {
    folder,
    manifestPath: join(folder, "run.json"),
    ratingsPath: join(folder, "ratings.jsonl"),
    scorePath: (name) => join(folder, "scores", `${name}.jsonl`),
    vectorsPath: (name) => join(folder, "embeddings", `${name}.npy`),
    targetVectorsPath: (name, hash) => join(folder, "embeddings", "targets", `${name}.${hash}.npy`),
    armPath: (arm, extension) => join(folder, "arms", `${arm}${extension}`),
    decisionsPath: (arm) => join(folder, "arms", `${arm}.decisions.jsonl`),
    recordedArmPath: ({ path }) => join(folder, "arms", basename(path)),
    answersFolder: join(folder, "answers"),
    modelsFolder: join(folder, "models"),
    verdictsPath: (name) => join(folder, "verdicts", `${name}.jsonl`),
    modelPath: (model) => join(folder, "models", model),
    contaminationPath: join(folder, "contamination.json"),
    judgeChecksPath: join(folder, "judge-checks.jsonl"),
    openCheckPath: join(folder, "judge-check-open.json"),
    reportPath: join(folder, "report.html"),
    lossesPath: (name, model) => join(folder, "losses", `${name}.${model}.jsonl`),
    labelsFolder: (name) => join(folder, "labels", name),
    labelsPath: (name, annotator) => join(folder, "labels", name, `${annotator}.jsonl`),
    benchmarkPath: (model, task, settings) => join(folder, "benchmarks", `${model}.${task}.${settings}.jsonl`),
    answersPath: (arm) => join(folder, "answers", `${arm}.jsonl`),
  };
}

/** The manifest of a run, or undefined when there is none yet. @throws RunError when it is damaged */
export async function readManifest(run: RunFolder): Promise<Manifest | undefined> {
  let text: string;
  try {
    text = await readWhole(run.manifestPath, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined; // readFile fails with errors of this kind
    const isFile = (cause as NodeJS.ErrnoException).code === "ENOTDIR";
    throw new RunError(
      isFile
        ? `${run.folder}: expected a folder for the run, got a file`
        : `${run.manifestPath}: cannot be read: ${messageOf(cause)}`,
      { cause },
    );
  }
  const layout = (tryParse(text) as { version?: unknown } | null | undefined)?.version;
  if (typeof layout === "number" && layout !== manifestVersion)
    throw new RunError(
      `${run.manifestPath}: expected a run of layout ${manifestVersion}, got one of layout ${layout}, made by another version of alpagasus; start a new run with another --run DIR (replies stay in the call store and are not paid for again)`,
    );
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch (cause) {
    const problem =
      cause instanceof z.ZodError
        ? `${cause.issues[0]!.path.join(".")}: ${cause.issues[0]!.message}`
        : messageOf(cause);
    throw new RunError(
      `${run.manifestPath}: expected the manifest of a run, got something else (${problem}); start a new run with another --run DIR`,
      { cause },
    );
  }
}

/** The manifest of a run that has ratings. @throws RunError when nothing was rated yet */
export async function requireRatings(run: RunFolder): Promise<RatedManifest> {
  const manifest = await readManifest(run);
  if (!isRated(manifest))
    throw new RunError(
      `${run.folder}: expected a run with ratings, found none; rate the data first: alpagasus rate DATA --run ${shellWord(run.folder)}`,
    );
  if (manifest.rate.shard)
    throw new RunError(
      `${run.folder}: holds shard ${manifest.rate.shard.index} of ${manifest.rate.shard.of} of a rating; put the shards together first: alpagasus merge RUN... --run runs/all`,
    );
  return manifest;
}

/**
 * Writes the manifest in one step: a reader sees the old one or the new one.
 *
 * @throws UsageError when it holds what cannot be read again, such as NaN in a setting of a program
 */
async function writeManifest(run: RunFolder, manifest: Manifest): Promise<void> {
  const partial = `${run.manifestPath}.${processToken}.${randomUUID().slice(0, 8)}.partial`;
  const text = JSON.stringify(manifest, null, 2);
  const { error } = manifestSchema.safeParse(JSON.parse(text));
  if (error)
    throw new UsageError(
      `${run.manifestPath}: expected records that can be read again, got ${error.issues[0]!.path.join(".")} (${error.issues[0]!.message}); run.json stays as it was`,
      { cause: error },
    );
  try {
    await writeFile(partial, `${text}\n`);
    await rename(partial, run.manifestPath);
  } finally {
    await rm(partial, { force: true });
  }
}

/** Changes the latest manifest under a lock, so that no change by another stage or process is lost. */
export async function updateManifest(
  run: RunFolder,
  change: (manifest: Manifest | undefined) => Manifest | Promise<Manifest>,
  { mayBeDamaged = false }: { readonly mayBeDamaged?: boolean } = {},
): Promise<void> {
  makeFolder(run.folder);
  using _ = await waitForLock(`${run.manifestPath}.lock`);
  const reading = readManifest(run);
  const manifest = mayBeDamaged ? await reading.catch(() => undefined) : await reading;
  await writeManifest(run, await change(manifest));
}

/**
 * Adds a stage's records to the manifest, and keeps everything else in it.
 *
 * @param part the records, from the manifest as it is now
 */
export async function extendManifest(
  run: RunFolder,
  part: (manifest: Manifest | undefined) => Partial<Manifest> | Promise<Partial<Manifest>>,
  options?: { readonly mayBeDamaged?: boolean },
): Promise<void> {
  await updateManifest(
    run,
    async (manifest) => ({
      version: manifestVersion,
      alpagasus: version,
      arms: {},
      ...manifest,
      ...(await part(manifest)),
    }),
    options,
  );
}

/**
 * Returns the id under which a call store counts a run's spending (its purse), and creates it if there is none. It is kept in
 * the run's folder, so that it moves with the run, and every command adds to what was paid before.
 *
 * @param store path of the call store that counts the spending
 * @param options.forgetSpent count anew, where the store that counted it is gone
 * @param options.enter makes the store know a purse: before the run has it, so that a store that does not know it is another one
 * @param options.isKnown whether the store knows a purse
 * @throws RunError when another store has counted this run's spending until now
 */
export async function openPurse(
  { folder }: RunFolder,
  store: string,
  {
    forgetSpent = false,
    enter,
    isKnown = () => false,
  }: {
    readonly forgetSpent?: boolean;
    readonly enter?: (name: string) => void;
    readonly isKnown?: (name: string) => boolean;
  } = {},
): Promise<string> {
  const path = join(folder, "purse.json");
  makeFolder(folder);
  const before = await readPurse({ folder });
  if (before && resolve(before.store) !== resolve(store)) {
    if (existsSync(before.store)) throw countedElsewhere(folder, before.store, store);
    const isMoved = isKnown(before.name);
    if (!isMoved && !forgetSpent)
      throw new RunError(
        `${folder}: this run's spending is recorded in ${before.store}, which is not there; bring that file, use another run with --run DIR, or go on with --forget-spent, which counts the spending anew`,
      );
    if (isMoved) await writeWhole(path, describePurse(before.name, folder, store));
    else await rm(path, { force: true });
  }
  if (!existsSync(path)) {
    const purse = randomUUID();
    enter?.(purse);
    const partial = `${path}.${processToken}.${purse.slice(0, 8)}.partial`; // several stages may open it at once
    try {
      await writeFile(partial, describePurse(purse, folder, store));
      await link(partial, path); // atomic, and only if there is no file yet
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error; // link fails with errors of this kind
    } finally {
      await rm(partial, { force: true });
    }
  }
  const found = (await readPurse({ folder }))!; // it was there, or has just been written
  if (resolve(found.store) !== resolve(store)) throw countedElsewhere(folder, found.store, store); // by another process, just now
  return found.name;
}

function describePurse(purse: string, folder: string, store: string): string {
  return `${JSON.stringify({ purse, store: relative(folder, store), isEntered: true })}\n`;
}

function countedElsewhere(folder: string, there: string, store: string): RunError {
  return new RunError(
    `${folder}: this run's spending is recorded in ${there}, not in ${store}; use that store with --store, or another run with --run DIR`,
  );
}

/** A run's purse and the store that counts it; undefined if no command opened one. @throws RunError when its file is damaged */
export async function readPurse({
  folder,
}: Pick<RunFolder, "folder">): Promise<{ name: string; store: string; isEntered: boolean } | undefined> {
  const path = join(folder, "purse.json");
  let text: string;
  try {
    text = await readWhole(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    if (code === "ENOTDIR")
      throw new RunError(`${folder}: expected a folder for the run, got a file; name another with --run DIR`, {
        cause,
      });
    throw new RunError(
      `${path}: expected this run's spending record, got one that cannot be read: ${messageOf(cause)}; make it readable, or start a new run with another --run DIR`,
      { cause },
    );
  }
  const found = purseSchema.safeParse(tryParse(text));
  if (!found.success)
    throw new RunError(
      `${path}: expected this run's spending record, got something else; start a new run with another --run DIR`,
    );
  const { purse, store, isEntered } = found.data;
  return { name: purse, store: join(folder, store), isEntered };
}

const purseSchema = z.object({
  purse: z.uuid(),
  store: z.string(),
  /** Whether the store was made to know it; not so in runs of earlier versions. */
  isEntered: z.boolean().default(false),
});
