import { execFile, execFileSync } from "node:child_process";
import { promisify } from "node:util";
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

/** The same, while this process goes on, as a server for it may have to. */
export async function trainerPythonAsync(
  script: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string>,
): Promise<string> {
  const run = promisify(execFile);
  const { stdout } = await run("uv", uvArguments(script, args), { cwd, env: { ...process.env, ...env } });
  return stdout;
}
