import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { expect, vi } from "vitest";
import { descendants, killAll } from "../helpers/descendants.ts";
import { freePort } from "../helpers/free-port.ts";
import { pythonEnvironment } from "../helpers/python-environment.ts";

/** A Ray cluster of two machines, as processes of this one. */
export interface RayOfTwo {
  readonly address: string;
  /** All processes of the cluster. */
  processes(): number[];
  killSecond(): void;
  startSecond(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts one. Ray has an environment of its own, in `folder`. */
export async function startRay(folder: string): Promise<RayOfTwo> {
  const place = `${folder}/ray`;
  const uv = (...args: string[]) =>
    execFileSync("uv", args, { stdio: "ignore", env: { PATH: process.env["PATH"]!, ...pythonEnvironment } });
  uv("venv", "--python", "3.11", place);
  uv("pip", "install", "--python", `${place}/bin/python`, "ray[default,train]==2.60.0");
  const [port, dashboard] = [await freePort(), await freePort()];
  const address = `http://127.0.0.1:${dashboard}`;
  const start = (...args: string[]): ChildProcess =>
    spawn(`${place}/bin/ray`, ["start", ...args, "--num-cpus=2", "--disable-usage-stats", "--block"], {
      cwd: folder,
      stdio: "ignore",
      env: { ...pythonEnvironment, PATH: `${place}/bin:${process.env["PATH"]}` },
    });
  const temp = `/tmp/ray-of-${process.pid}`; // Ray wants a short path, for its sockets
  const head = start(
    "--head",
    `--port=${port}`,
    `--dashboard-port=${dashboard}`,
    `--temp-dir=${temp}`,
    `--ray-client-server-port=${await freePort()}`,
    `--dashboard-agent-listen-port=${await freePort()}`,
  );
  const machines = async () => {
    const answer = await fetch(`${address}/api/v0/nodes?detail=1`).catch(() => undefined);
    if (!answer?.ok) return 0;
    const { data } = (await answer.json()) as { data: { result: { result: { state: string }[] } } };
    return data.result.result.filter(({ state }) => state === "ALIVE").length;
  };
  const waitFor = (count: number) =>
    vi.waitFor(async () => expect(await machines()).toBe(count), { timeout: 300_000, interval: 500 });
  await waitFor(1);
  let second: ChildProcess;
  const startSecond = async () => {
    second = start(`--address=127.0.0.1:${port}`, `--dashboard-agent-listen-port=${await freePort()}`);
    await waitFor(2);
  };
  await startSecond();
  const all = () => [...descendants(head.pid!), ...descendants(second.pid!)];
  return {
    address,
    processes: all,
    killSecond: () => killAll(descendants(second.pid!)),
    startSecond,
    async stop() {
      const ended = [head, second].filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
      killAll(all());
      await Promise.all(ended.map(async (child) => child.exitCode ?? child.signalCode ?? (await once(child, "exit"))));
      rmSync(temp, { recursive: true, force: true });
    },
  };
}

/** The command line of a process; "" when it has ended. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return ""; // it has ended
  }
}
