import { accessSync, constants, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { PythonError } from "../errors.ts";
import { writeWhole } from "../files/atomic-file.ts";
import { makeFolder } from "../files/make-folder.ts";
import { chooseServerKind } from "../generation/choose-server.ts";
import { findLocalModel, hashModel } from "../generation/local-model.ts";
import { checkPromptParity } from "../generation/prompt-parity.ts";
import { describeServer, serveModel, type ServerKind } from "../generation/serve-model.ts";
import type { RayServing } from "../cluster/serve.ts";
import { serveOnRay } from "../generation/serve-on-ray.ts";
import { isSmollm2, makeSmollm2 } from "../python/smollm2.ts";
import { runFolder } from "../run/run-folder.ts";

export interface ServeModelOptions {
  /** The run's folder: its models are found by name, and the servers' output and addresses are written there. */
  readonly run: string;
  readonly server?: ServerKind | undefined;
  /** Start the servers on a Ray cluster. */
  readonly ray?: RayServing | undefined;
  /** The file for the addresses; `served/NAME.txt` of the run when left out. */
  readonly addresses?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onPhase?: ((phase: string) => void) | undefined;
}

/** Servers of a model. `stop` ends them. */
export interface Serving {
  /** The model as judges and answerers are named: `servers:runs/default/served/qwen3.txt#qwen3`. */
  readonly name: string;
  /** The file with an address a line. It follows servers that are lost and started again. */
  readonly addresses: string;
  readonly servers: readonly string[];
  /** `vllm 0.33.0` */
  readonly description: string;
  readonly startMs: number;
  /** Whether the servers read prompts as in training, in words. */
  readonly parity: string;
  /** Rejects when the servers end by themselves. */
  readonly failed: Promise<never>;
  stop(): Promise<void>;
}

const lookMs = 1_000;

/**
 * Starts servers for a model, on this machine or on a Ray cluster, and lists their addresses in a file that `servers:FILE#MODEL` reads.
 *
 * @throws UsageError when there is no such model; RunError and PythonError as `serveModel` and `serveOnRay`
 */
export async function serve(model: string, options: ServeModelOptions): Promise<Serving> {
  const { ray, signal, onPhase } = options;
  const run = runFolder(options.run);
  const local = await findLocalModel(model, run);
  const addresses = options.addresses ?? join(run.folder, "served", `${local.name}.txt`);
  makeFolder(dirname(addresses));
  accessSync(dirname(addresses), constants.W_OK); // before a server is started
  const kind = options.server ?? (await chooseServerKind(ray?.address, signal));
  if (isSmollm2(model)) await makeSmollm2(signal, onPhase);
  const modelHash = await hashModel(local, signal);
  const failing = Promise.withResolvers<never>();
  failing.promise.catch(() => {}); // for callers that do not wait for it
  const name = `${local.name}-${modelHash.slice(0, 8)}`;
  const serving = { run, kind, modelHash, name, signal, onPhase, onFailure: failing.reject };
  const started = ray ? await startOnRay() : await startHere();
  let written = "";
  const write = async () => {
    const text = started
      .servers()
      .map((url) => `${url}\n`)
      .join("");
    if (text === written) return;
    await writeWhole(addresses, text);
    written = text;
  };
  const ended = new AbortController();
  const follow = async () => {
    for (;;) {
      await delay(lookMs, undefined, { signal: ended.signal }).catch(() => {});
      if (ended.signal.aborted) return;
      await write();
    }
  };
  try {
    const url = started.servers()[0]!;
    const parity = await checkPromptParity(local, { url, modelName: started.model }, kind, signal);
    await write();
    void follow().catch(failing.reject);
    return {
      name: `servers:${addresses}#${started.model}`,
      addresses,
      servers: started.servers(),
      description: await describeServer(kind),
      startMs: started.startMs,
      parity,
      failed: failing.promise,
      async stop() {
        ended.abort();
        rmSync(addresses, { force: true }); // nobody answers there any more
        await started.stop();
      },
    };
  } catch (error) {
    await started.stop();
    throw error;
  }

  async function startHere() {
    const server = await serveModel(local, serving);
    return { servers: () => [server.url], model: server.modelName, startMs: server.startMs, stop: () => server.stop() };
  }

  async function startOnRay() {
    const served = await serveOnRay(local, { ...serving, ...ray! });
    const [first] = served.servers();
    if (served.servers().some((server) => server.model !== first!.model)) {
      await served.stop();
      throw new PythonError(`${model}: expected its servers to call it by one name, got several`);
    }
    return {
      servers: () => served.servers().map(({ url }) => url),
      model: first!.model,
      startMs: served.startMs,
      stop: () => served.stop(),
    };
  }
}
