import { spawnSync } from "node:child_process";
import { AlpagasusError } from "../errors.ts";

/** What runs the trainer is not there, or the trainer failed. */
export class TrainerError extends AlpagasusError {
  override name = "TrainerError";
}

/** The version of uv, which brings the trainer. @throws TrainerError when it is not installed */
export function findUv(): string {
  const found = spawnSync("uv", ["--version"], { encoding: "utf8" });
  if (found.status !== 0)
    throw new TrainerError(
      "uv: expected it on the PATH, since it brings the trainer (PyTorch, TRL), found none; get it with: curl -LsSf https://astral.sh/uv/install.sh | sh (or: pip install uv)",
    );
  return found.stdout.trim();
}
