import { createHash, hash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { findDatasetFiles } from "../dataset/source.ts";
import { hashFile } from "../files/hash-file.ts";
import { embeddedStudentPath } from "../judge/student.ts";
import { identifyMeasurer } from "../likelihood/measure.ts";
import { readMeasureName, readServedMeasure } from "../likelihood/measure-name.ts";
import type { TrainSummary } from "../run/records/training.ts";

/*
 * Hashes that show whether a task's inputs changed.
 */

const sampleBytes = 1024 * 1024; // of each file: enough to tell models apart, and quick to read

/**
 * The hash of a base model on this machine: its small files, and the sizes and first bytes of its weights.
 *
 * @param folder of the base; nothing is hashed where it is no folder of a model, such as a name on the Hub
 */
export async function hashBase(folder: string | undefined): Promise<Record<string, string>> {
  if (folder === undefined || !existsSync(join(folder, "config.json"))) return {};
  const sha = createHash("sha256");
  for (const name of (await readdir(folder))
    .filter((file) => /\.(safetensors|bin|json|jinja|txt)$/.test(file))
    .toSorted()) {
    const { size } = await stat(join(folder, name));
    sha.update(`\0${name} ${size}\0`);
    for await (const chunk of createReadStream(join(folder, name), { end: sampleBytes })) sha.update(chunk as Buffer); // a stream of bytes
  }
  return { "the base's files": sha.digest("hex") };
}

/** Identifies a trained model: by its settings and rows, and by when its training started. */
export function identifyModel(model: TrainSummary | undefined): string {
  return model ? hashText(`${model.hash} ${model.startedAt}`) : "none";
}

/** Hash of the file behind a judge: a student, a recording, or a run's ratings. `none` for other judges. */
export async function hashJudge(judge: string): Promise<string> {
  const [, kind, file] = /^(student|student-lm|recorded|run):([^#]+)/s.exec(judge) ?? [];
  const measure = readMeasureName(judge);
  if (readServedMeasure(judge)) return "none";
  if (measure) return identifyMeasurer(measure.model);
  if (judge === "student" || judge === "student-lm") return (await hashFile(embeddedStudentPath)) ?? "none";
  if (kind === undefined) return "none";
  return (await hashFile(kind === "run" ? join(file!, "ratings.jsonl") : file!)) ?? "none";
}

export async function hashArm(path: string | undefined): Promise<string> {
  return (path === undefined ? undefined : await hashFile(path)) ?? "none";
}

export async function hashFiles(paths: readonly string[]): Promise<string> {
  const hashes = await Promise.all(paths.map(hashFile));
  return hashText(JSON.stringify(hashes));
}

/** The hash of the files of a dataset: a file, a folder or a pattern. `none` where there is none. */
export async function hashData(source: string): Promise<string> {
  const files = await findDatasetFiles(source).catch(() => []);
  return files.length === 0 ? "none" : hashFiles(files.map(({ path }) => path));
}

export function hashText(text: string): string {
  return hash("sha256", text);
}
