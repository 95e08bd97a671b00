import { stat } from "node:fs/promises";
import type { ArmSummary, Manifest } from "../run/manifest.ts";
import { defaultRunFolder, readManifest, runFolder } from "../run/run-folder.ts";

/** Whether a file of the run is what its manifest says. */
export type FileState = "present" | "missing" | "changed";

export interface RunStatus {
  readonly run: string;
  /** Absent when nothing was rated yet. */
  readonly dataset?: Manifest["dataset"] & { readonly state: FileState };
  readonly rate?: Manifest["rate"] & { readonly path: string; readonly state: FileState };
  readonly arms: readonly (ArmSummary & {
    readonly state: FileState;
    /** Whether the rows were rated anew, or the data changed, since this arm was made. */
    readonly isStale: boolean;
  })[];
  /** What to do next, as a command. */
  readonly next: string;
}

/** Tells where a run stands, from its files alone: nothing is computed again. @throws RunError when the manifest is damaged */
export async function status(folder: string): Promise<RunStatus> {
  const run = runFolder(folder);
  const manifest = await readManifest(run);
  const flag = folder === defaultRunFolder ? "" : ` --run ${folder}`;
  if (!manifest) return { run: folder, arms: [], next: `alpagasus rate DATA${flag}` };
  const files = await Promise.all(manifest.dataset.files.map(({ path, bytes }) => fileState(path, bytes)));
  const dataState = files.find((state) => state !== "present") ?? "present";
  const arms = await Promise.all(
    Object.values(manifest.arms).map(async (arm) => ({
      ...arm,
      state: await fileState(arm.path),
      isStale: arm.ratingsHash !== manifest.rate.ratingsHash || dataState !== "present",
    })),
  );
  const rateState = await fileState(run.ratingsPath);
  return {
    run: folder,
    dataset: { ...manifest.dataset, state: dataState },
    rate: { ...manifest.rate, path: run.ratingsPath, state: rateState },
    arms,
    next: nextStep(manifest, arms, dataState === "present" && rateState === "present", flag),
  };
}

async function fileState(path: string, bytes?: number): Promise<FileState> {
  const info = await stat(path).catch(() => undefined);
  if (!info) return "missing";
  return bytes === undefined || info.size === bytes ? "present" : "changed";
}

function nextStep(manifest: Manifest, arms: RunStatus["arms"], isRated: boolean, flag: string): string {
  if (!isRated) return `alpagasus rate ${manifest.dataset.source}${flag}`;
  const selected = arms.find((arm) => arm.arm === "selected");
  if (!selected || selected.isStale || selected.state !== "present") return `alpagasus select --top 20%${flag}`;
  const random = arms.find((arm) => arm.arm === "random");
  if (!random || random.isStale || random.rows !== selected.rows) return `alpagasus select --method random${flag}`;
  return `nothing: ${selected.path} and its control are ready to train on`;
}
