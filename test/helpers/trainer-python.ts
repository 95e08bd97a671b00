import { execFileSync } from "node:child_process";
import { uvArguments } from "../../src/python/uv.ts";

/** Runs a Python script with the trainer's parts. */
export function trainerPython(script: string, args: readonly string[], input = "", cwd?: string): string {
  return execFileSync("uv", uvArguments(script, args), {
    input,
    cwd,
    encoding: "utf8",
    env: { ...process.env, HF_HUB_OFFLINE: "1" },
    stdio: ["pipe", "pipe", "ignore"],
  });
}
