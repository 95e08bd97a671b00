import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { TrainerError } from "../errors.ts";
import { packageFolder } from "../package-folder.ts";

/** The folder of the few lines of Python that belong to this package, and of what they need. */
export const pythonFolder = join(packageFolder, "python");

const trainerParts = join(pythonFolder, "requirements.txt");

/** The version of uv, which brings PyTorch and what stands on it. @throws TrainerError when it is not installed */
export function findUv(): string {
  const found = spawnSync("uv", ["--version"], { encoding: "utf8" });
  if (found.status !== 0)
    throw new TrainerError(
      "uv: expected it on the PATH, since it brings PyTorch and the trainer (TRL), found none; get it with: curl -LsSf https://astral.sh/uv/install.sh | sh (or: pip install uv)",
    );
  return found.stdout.trim();
}

/** Which Python packages a command needs. */
export interface Parts {
  /** A requirements file; the trainer's when left out. */
  readonly requirements?: string;
  /** Further packages beside it. */
  readonly packages?: readonly string[];
}

/** uv's arguments to run a command with Python packages, in an environment of its own. */
export function uvRun(
  command: readonly string[],
  { requirements = trainerParts, packages = [] }: Parts = {},
): string[] {
  const parts = ["--with-requirements", requirements, ...packages.flatMap((name) => ["--with", name])];
  return ["run", "--quiet", "--no-project", "--python", "3.11", ...parts, "--", ...command];
}

/** The same for a script. */
export function uvArguments(script: string, args: readonly string[], packages: readonly string[] = []): string[] {
  return uvRun(["python", script, ...args], { packages });
}
