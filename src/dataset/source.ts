import type { Dirent } from "node:fs";
import { glob, readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, sep } from "node:path";
import { DataError, UsageError } from "../errors.ts";
import { readWhole } from "../files/read-file.ts";
import { tryParse } from "../files/try-parse.ts";
import type { Compression } from "../files/read-bytes.ts";
import { downloadFromHub } from "./hub.ts";
import { expectOneConfiguration, expectOneSplit, nameFiles } from "./splits.ts";

export type Format = "json" | "jsonl" | "csv" | "parquet" | "arrow";

/** One file of a dataset, described by its name and size; its content is not read yet. */
export interface DatasetFile {
  readonly path: string;
  /** The format by the name. A `.json` file may turn out to hold JSON Lines: its first byte decides. */
  readonly format: Format;
  readonly compression?: Compression | undefined;
  /** The file's extension as written: `.jsonl.gz`, `.tsv`. */
  readonly extension: string;
  readonly bytes: number;
}

const formatByExtension: Record<string, Format> = {
  ".json": "json",
  ".jsonl": "jsonl",
  ".ndjson": "jsonl",
  ".csv": "csv",
  ".tsv": "csv",
  ".parquet": "parquet",
  ".arrow": "arrow",
};
const knownExtensions =
  "`.json`, `.jsonl`, `.ndjson`, `.csv`, `.tsv`, `.parquet` or `.arrow`, each also with `.gz` or `.zst`";

/**
 * The files behind a DATA argument: a file, a folder (searched recursively, without hidden files), a glob, or
 * `hf:owner/name[@revision][:split | :configuration/split | /file]`, which is downloaded first. Sorted by path.
 *
 * @throws DataError when nothing is there, or when the files have more than one format
 */
export async function findDatasetFiles(source: string, signal?: AbortSignal): Promise<DatasetFile[]> {
  const paths = await findPaths(source, signal);
  const files = await Promise.all(paths.map(describeFile));
  const odd = files.find((file) => file.format !== files[0]!.format || file.compression !== files[0]!.compression);
  if (odd) {
    throw new DataError(
      `${odd.path}: expected ${files[0]!.extension} like ${files[0]!.path}, got ${odd.extension}; a dataset's files have one format`,
    );
  }
  return files;
}

async function findPaths(source: string, signal?: AbortSignal): Promise<string[]> {
  if (source.startsWith("hf:")) return downloadFromHub(source, signal);
  const info = await stat(source).catch(() => undefined);
  if (info?.isFile()) return [source];
  if (info?.isDirectory()) {
    const listed = await listFolder(source);
    const found = chooseFiles(source, listed, source);
    if (found.length === 0) throw new DataError(`${source}: expected data files (${knownExtensions}), found none`);
    return found;
  }
  if (!info && /[*?[\]{}]/.test(source)) {
    const found: string[] = [];
    for await (const path of glob(source)) if (formatOf(path)) found.push(path);
    if (found.length === 0) throw new DataError(`${source}: the pattern matches no data file (${knownExtensions})`);
    return found.sort();
  }
  throw new DataError(
    info || source === "-"
      ? `${source}: expected a file or a folder, got a pipe; data is read more than once: write it into a file first`
      : `${source}: no such file, folder or pattern`,
  );
}

async function listFolder(folder: string): Promise<string[]> {
  const entries = await listEntries(folder);
  const links = entries.filter((entry) => entry.isSymbolicLink()).map((entry) => join(entry.parentPath, entry.name));
  const linkedFiles = new Set<string>();
  for (const link of links) if ((await stat(link).catch(() => undefined))?.isFile()) linkedFiles.add(link);
  const runs = new Set<string>(); // of ours, whose files are no data
  for (const { name, parentPath } of entries)
    if (name === "run.json" && (await isManifest(join(parentPath, name)))) runs.add(parentPath);
  return entries
    .filter(
      ({ parentPath }) => ![...runs].some((run) => run !== folder && `${parentPath}${sep}`.startsWith(`${run}${sep}`)),
    )
    .map((entry) => ({ path: join(entry.parentPath, entry.name), isFile: entry.isFile() }))
    .filter(({ path, isFile }) => isFile || linkedFiles.has(path))
    .map(({ path }) => path)
    .filter(
      (path) =>
        !relative(folder, path)
          .split(sep)
          .some((part) => part.startsWith(".")),
    );
}

/** Everything in a folder and its subfolders, linked ones too, each once; no link leads above the folder. */
async function listEntries(folder: string): Promise<Dirent[]> {
  const root = await realpath(folder);
  const seen = new Set<string>();
  const all: Dirent[] = [];
  const visit = async (path: string): Promise<void> => {
    const real = await realpath(path);
    if (seen.has(real)) return;
    seen.add(real);
    const entries = (await readdir(path, { withFileTypes: true })).filter(({ name }) => !name.startsWith("."));
    all.push(...entries);
    for (const entry of entries) {
      const inner = join(path, entry.name);
      if (entry.isDirectory()) await visit(inner);
      else if (entry.isSymbolicLink() && (await isOtherFolder(inner, root))) await visit(inner);
    }
  };
  await visit(folder);
  return all;
}

/** Whether a link leads to a folder that the root is not in. */
async function isOtherFolder(link: string, root: string): Promise<boolean> {
  const isFolder = (await stat(link).catch(() => undefined))?.isDirectory() ?? false;
  return isFolder && !holds(await realpath(link), root);
}

/** Whether a path is a folder or lies in it. */
function holds(folder: string, path: string): boolean {
  const [first] = relative(folder, path).split(sep);
  return first !== ".." && !isAbsolute(relative(folder, path));
}

/** Whether a run.json is that of a run of ours. */
async function isManifest(path: string): Promise<boolean> {
  const text = await readWhole(path, "utf8").catch(() => "");
  const read = tryParse(text) as { readonly alpagasus?: unknown; readonly version?: unknown } | null | undefined;
  return typeof read?.alpagasus === "string" && typeof read.version === "number";
}

async function describeFile(path: string): Promise<DatasetFile> {
  const known = formatOf(path);
  if (!known) throw new UsageError(`${path}: expected a name that ends in ${knownExtensions}`);
  return { path, ...known, bytes: (await stat(path)).size };
}

function formatOf(path: string): Pick<DatasetFile, "format" | "compression" | "extension"> | undefined {
  const [, name, packed] = /(\.[a-z]+)(\.gz|\.zst)?$/i.exec(path) ?? [];
  const format = name && formatByExtension[name.toLowerCase()];
  if (!format) return undefined;
  const compression = packed === undefined ? undefined : compressions[packed.toLowerCase()];
  return { format, ...(compression && { compression }), extension: `${name}${packed ?? ""}` };
}

const compressions: Readonly<Record<string, Compression>> = { ".gz": "gzip", ".zst": "zstd" };

/** Files that lie beside data and hold none of it: registries of `datasets` and LLaMA-Factory. */
const registries: ReadonlySet<string> = new Set([
  "dataset_info.json",
  "dataset_infos.json",
  "dataset_dict.json",
  "state.json",
]);
/** Data that cannot be read, and what to do. */
const unread = /\.(xz|bz2|zip|lz4|tar|tgz|7z|rar|avro|orc|xlsx?|feather|msgpack|tfrecord|lance)$/i;

/**
 * The data files of a folder.
 *
 * @throws DataError when files with data cannot be read, or when they are several splits: one pool of them would train on tests
 */
function chooseFiles(source: string, paths: readonly string[], folder: string): string[] {
  const isSaved = new Set(paths.filter((path) => basename(path) === "state.json").map(dirname)); // by Dataset.save_to_disk
  const isCache = (path: string) => /^cache-.*\.arrow$/.test(basename(path)) && isSaved.has(dirname(path));
  const found = paths
    .filter((path) => formatOf(path) && !registries.has(basename(path).toLowerCase()) && !isCache(path))
    .toSorted();
  const others = paths.filter((path) => unread.test(path));
  if (others.length > 0) {
    const shown = others.slice(0, 3).map((path) => relative(folder, path));
    throw new DataError(
      `${source}: expected data files that can be read (${knownExtensions}), found also ${shown.join(", ")}${others.length > 3 ? ", …" : ""}; unpack them, or name the files to read`,
    );
  }
  const below = found.map((path) => relative(folder, path));
  const slashed = below.map((path) => path.split(sep).join("/"));
  expectOneConfiguration(source, slashed, (name) => join(folder, name));
  expectOneSplit(source, below, (_, files) =>
    nameFiles(
      folder,
      files,
      below.filter((path) => !files.includes(path)),
    ),
  );
  return found;
}
