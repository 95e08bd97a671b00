import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { TrainerError } from "../errors.ts";
import { packageFolder } from "../package-folder.ts";

/** The folder of the few lines of Python that belong to this package, and of what they need. */
export const pythonFolder = join(packageFolder, "python");

/** The version of uv, which brings the trainer. @throws TrainerError when it is not installed */
export function findUv(): string {
  const found = spawnSync("uv", ["--version"], { encoding: "utf8" });
  if (found.status !== 0)
    throw new TrainerError(
      "uv: expected it on the PATH, since it brings the trainer (PyTorch, TRL), found none; get it with: curl -LsSf https://astral.sh/uv/install.sh | sh (or: pip install uv)",
    );
  return found.stdout.trim();
}

/** uv's arguments to run a Python script with the trainer's parts, and further packages beside them. */
export function uvArguments(script: string, args: readonly string[], packages: readonly string[] = []): string[] {
  const requirements = join(pythonFolder, "requirements.txt");
  const parts = ["--with-requirements", requirements, ...packages.flatMap((name) => ["--with", name])];
  return ["run", "--quiet", "--no-project", "--python", "3.11", ...parts, "--", "python", script, ...args];
}
