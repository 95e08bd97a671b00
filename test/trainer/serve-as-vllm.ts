import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { uvArguments } from "../../src/python/uv.ts";
import { freePort } from "../helpers/free-port.ts";
import { pythonEnvironment } from "../helpers/python-environment.ts";

const script = fileURLToPath(new URL("completions_server.py", import.meta.url));

/** Serves a model's folder as vLLM would, until it is disposed of. */
export async function serveAsVllm(
  model: string,
  cwd: string,
): Promise<AsyncDisposable & { /** `http://127.0.0.1:8000/v1` */ readonly address: string }> {
  const port = await freePort();
  const address = `http://127.0.0.1:${port}/v1`;
  const server = spawn("uv", uvArguments(script, [model, String(port)]), {
    cwd,
    env: { PATH: process.env["PATH"]!, ...pythonEnvironment },
    stdio: "ignore",
    detached: true, // a group of its own, so that the Python below uv ends, too
  });
  const isThere = () =>
    fetch(`${address}/models`)
      .then(({ ok }) => ok)
      .catch(() => false);
  await expect.poll(isThere, { timeout: 300_000 }).toBe(true);
  return {
    address,
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => server.once("exit", resolve));
      process.kill(-server.pid!, "SIGKILL");
      await ended;
    },
  };
}
