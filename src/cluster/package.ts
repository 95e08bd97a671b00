import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { zipSync } from "fflate";
import { listFiles } from "../files/list-files.ts";

/** The most bytes that are sent with a job: Ray keeps them in its head's memory. */
export const mostSentBytes = 256e6;

/** Makes a job's package of files: a zip file, of the same bytes for the same files. */
export function packFiles(files: ReadonlyMap<string, Uint8Array>): Uint8Array {
  return zipSync(Object.fromEntries(files), { mtime: "1980-01-01T00:00:00" });
}

/** Files of a folder with their bytes. */
export function readFiles(folder: string, paths: readonly string[]): Map<string, Uint8Array> {
  return new Map(paths.map((path) => [path.replaceAll("\\", "/"), readFileSync(join(folder, path))]));
}

/** Files of a folder that make a model what it is. */
const modelFile = /\.(safetensors|bin|json|jinja|model|txt|py|spm|vocab)$/;

/** A model's files: a fingerprint of each by name, and what they hold where all of them are not too large to be sent. */
export function describeModelFiles(folder: string | undefined): {
  readonly prints: Readonly<Record<string, string>>;
  readonly files: ReadonlyMap<string, Uint8Array>;
} {
  if (folder === undefined) return { prints: {}, files: new Map() };
  const isApart = (first: string) => first.startsWith("checkpoint-") || first.startsWith(".") || first === "runs";
  const paths = listFiles(folder, isApart).filter((path) => modelFile.test(path) && path !== "training_args.bin");
  const bytes = paths.reduce((sum, path) => sum + statSync(join(folder, path)).size, 0);
  return {
    prints: Object.fromEntries(paths.map((path) => [path, fingerprint(join(folder, path))])),
    files: bytes <= mostSentBytes ? readFiles(folder, paths) : new Map(),
  };
}

const samples = 64; // of a large file
const sampleBytes = 65_536;

/** SHA-256 of a file's size and content; of a large file, of samples all over it. As `fingerprint` in `ray_serve.py`. */
function fingerprint(path: string): string {
  const { size } = statSync(path);
  const sha = createHash("sha256").update(String(size));
  if (size <= samples * sampleBytes) sha.update(readFileSync(path));
  else {
    const file = openSync(path, "r");
    try {
      const sample = Buffer.alloc(sampleBytes);
      for (let i = 0; i < samples; i++) {
        readSync(file, sample, 0, sampleBytes, Math.floor(((size - sampleBytes) * i) / (samples - 1)));
        sha.update(sample);
      }
    } finally {
      closeSync(file);
    }
  }
  return sha.digest("hex").slice(0, 32);
}
