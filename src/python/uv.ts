import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PythonError } from "../errors.ts";
import { withoutProviderKeys } from "../keys.ts";
import { packageFolder } from "../package-folder.ts";

/** The folder of this package's Python scripts and requirements files. */
export const pythonFolder = join(packageFolder, "python");

/** The trainer's packages. */
export const trainerRequirements = join(pythonFolder, "requirements.txt");

/** The version of uv, which installs PyTorch and the other Python packages. @throws PythonError when it is missing */
export function findUv(): string {
  const found = spawnSync("uv", ["--version"], { encoding: "utf8", env: withoutProviderKeys(process.env) });
  if (found.status !== 0)
    throw new PythonError(
      "uv: expected it on the PATH, found none; it installs PyTorch and the trainer (TRL); install it with: curl -LsSf https://astral.sh/uv/install.sh | sh (or: pip install uv)",
    );
  return found.stdout.trim();
}

/** The Python packages that a command needs. */
export interface Parts {
  /** A requirements file, which also names the file of its constraints. Defaults to the trainer's. */
  readonly requirements?: string | undefined;
  /** Further packages. */
  readonly packages?: readonly string[] | undefined;
}

/** The file of constraints that a requirements file names, which lies beside it. @throws Error when it names none */
export function constraintsOf(requirements: string): string {
  const [, name] = /^-c (\S+)$/m.exec(readFileSync(requirements, "utf8")) ?? [];
  if (name === undefined) throw new Error(`${requirements}: expected a line "-c FILE"`);
  return join(dirname(requirements), name);
}

/** uv's arguments to run a command with Python packages, in its own environment. */
export function uvRun(
  command: readonly string[],
  { requirements = trainerRequirements, packages = [] }: Parts = {},
): string[] {
  const parts = ["--with-requirements", requirements, ...packages.flatMap((name) => ["--with", name])];
  return ["run", "--no-progress", "--no-project", "--python", "3.11", ...parts, "--", ...command];
}

/**
 * What uv says it is doing while it installs packages, in a phrase: `downloading torch (731.2MiB)`. Undefined for any other line.
 * The first run on a machine downloads several gigabytes.
 */
export function readInstallPhase(line: string): string | undefined {
  const [, doing, what = ""] = /^\s*(Downloading|Building|Preparing|Resolving|Installing)\s+(\S.*)$/.exec(line) ?? [];
  return doing === undefined ? undefined : `${doing.toLowerCase()} ${what.trim()}`;
}

/**
 * Reads the phases of a script that uv runs, line by line: uv's own while it installs, then those that the script says (`alpagasus: training`).
 * What its libraries say later is no phase, though it may look like one of uv's (`Building labels for train dataset`).
 */
export function openPhaseReader(): (line: string) => string | undefined {
  let isRunning = false;
  return (line) => {
    const [, own] = /^alpagasus: (.+)$/.exec(line) ?? [];
    isRunning ||= own !== undefined;
    return own ?? (isRunning ? undefined : readInstallPhase(line));
  };
}

/** uv's arguments to run a Python script with the trainer's packages and `packages`. */
export function uvArguments(script: string, args: readonly string[], packages: readonly string[] = []): string[] {
  return uvRun(["python", script, ...args], { packages });
}
