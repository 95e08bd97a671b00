import { stat } from "node:fs/promises";
import { RunError } from "../errors.ts";
import { hashFile } from "../files/hash-file.ts";
import type { ArmState, ArmSummary, FileState } from "./records/arm.ts";
import type { EmbeddingSummary } from "./records/embedding.ts";
import type { RatedManifest } from "./manifest.ts";
import { recordedPath } from "./recorded-path.ts";
import { runFolder, type RunFolder } from "./run-folder.ts";

export interface FileStates {
  readonly dataset: FileState;
  readonly ratings: FileState;
  /** Of further scores, by name. */
  readonly scores: ReadonlyMap<string, FileState>;
  readonly arms: readonly ArmState[];
}

/** Checks whether a run's files exist and have the same size; reads no content. `expectArm` does. */
export async function readFileStates(
  folder: string,
  { dataset, rate, scores, embeddings, arms }: RatedManifest,
): Promise<FileStates> {
  const run = runFolder(folder);
  const files = await Promise.all(
    dataset.files.map(({ path, bytes }) => fileState(recordedPath(path, run, dataset.workingFolder), bytes)),
  );
  const dataState = files.find((state) => state !== "present") ?? "present";
  return {
    dataset: dataState,
    ratings: await fileState(run.ratingsPath, rate.ratingsBytes),
    scores: new Map(
      await Promise.all(
        Object.entries(scores ?? {}).map(
          async ([name, { ratingsBytes }]) => [name, await fileState(run.scorePath(name), ratingsBytes)] as const,
        ),
      ),
    ),
    arms: await Promise.all(
      Object.values(arms).map(async (arm) => ({
        ...arm,
        path: run.recordedArmPath(arm), // in the run's own folder, in case the run was moved
        state: await fileState(run.recordedArmPath(arm), arm.files?.bytes),
        isStale:
          arm.ratingsHash !== rate.ratingsHash ||
          Object.entries(arm.scoreHashes ?? {}).some(([name, hash]) => scores?.[name]?.ratingsHash !== hash) ||
          (arm.vectors !== undefined && !areSame(arm.vectors, embeddings?.[arm.vectors.name])) ||
          (arm.controls !== undefined && !isControlOf(arm.controls, arms[arm.controls.arm])) ||
          dataState === "changed", // where it is missing, the arms are what they were
      })),
    ),
  };
}

const mostHashed = 64 * 1024 * 1024; // bytes of a file whose content is looked at

/** The same, and whether arms that are not large still have the content that `select` wrote. */
export async function readContentStates(folder: string, manifest: RatedManifest): Promise<FileStates> {
  const states = await readFileStates(folder, manifest);
  const run = runFolder(folder);
  const arms = await Promise.all(
    states.arms.map(async (arm) => {
      if (arm.state !== "present" || !arm.files || arm.files.bytes > mostHashed) return arm;
      return (await hashFile(run.recordedArmPath(arm))) === arm.files.sha256
        ? arm
        : { ...arm, state: "changed" as const };
    }),
  );
  return { ...states, arms };
}

/** Arms whose decisions are no longer what `select` wrote; of those that are not large, and that an older version did not write. */
export async function findChangedDecisions(
  run: RunFolder,
  arms: readonly Pick<ArmSummary, "arm" | "files">[],
): Promise<{ readonly arm: string; readonly path: string }[]> {
  const changed = await Promise.all(
    arms.map(async ({ arm, files }) => {
      const path = run.decisionsPath(arm);
      const info = await stat(path).catch(() => undefined);
      if (!files || !info?.isFile() || info.size > mostHashed) return []; // one that is missing is told when it is read
      return (await hashFile(path)) === files.decisionsSha256 ? [] : [{ arm, path }];
    }),
  );
  return changed.flat();
}

/**
 * Expects an arm's file of rows, and with `decisions` that too, to be as `select` wrote it.
 *
 * @throws RunError where it is missing, was edited, or is of older ratings or other data
 */
export async function expectArm(
  run: RunFolder,
  arm: ArmState,
  { decisions = false }: { readonly decisions?: boolean } = {},
): Promise<void> {
  const path = run.recordedArmPath(arm);
  const fail = (where: string, found: string) => {
    throw new RunError(`${where}: expected the arm as it was selected, found it ${found}; select it again`);
  };
  if (arm.isStale)
    fail(path, `of older ratings, other data${arm.controls ? ` or an earlier ${arm.controls.arm}` : ""}`);
  if (arm.state !== "present") fail(path, arm.state);
  if (!arm.files) return; // of an older version
  const expected: [path: string, sha256: string][] = [[path, arm.files.sha256]];
  if (decisions) expected.push([run.decisionsPath(arm.arm), arm.files.decisionsSha256]);
  for (const [file, sha256] of expected) {
    const found = await hashFile(file);
    if (found !== sha256) fail(file, found === undefined ? "missing" : "changed");
  }
}

/** Whether a control still has the size and the candidates of its arm. */
function isControlOf(
  { rows, candidatesHash }: NonNullable<ArmSummary["controls"]>,
  arm: ArmSummary | undefined,
): boolean {
  return (
    arm?.candidatesHash === undefined ||
    ((rows === undefined || arm.rows === rows) && arm.candidatesHash === candidatesHash)
  );
}

/** Whether the vectors that an arm was made by are still those of the run. */
function areSame(by: NonNullable<ArmSummary["vectors"]>, now: EmbeddingSummary | undefined): boolean {
  const { sha256, target, targetSha256 } = by;
  return now?.vectors.sha256 === sha256 && (target === undefined || now.targets[target]?.sha256 === targetSha256);
}

async function fileState(path: string, bytes?: number): Promise<FileState> {
  const info = await stat(path).catch(() => undefined);
  if (!info) return "missing";
  return bytes === undefined || info.size === bytes ? "present" : "changed";
}
