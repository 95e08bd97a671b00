import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describeModelFiles } from "../cluster/package.ts";
import { type RayServing, type ServedOnRay, startServers } from "../cluster/serve.ts";
import { UsageError } from "../errors.ts";
import { makeFolder } from "../files/make-folder.ts";
import type { LocalModel } from "./local-model.ts";
import {
  generateOneToken,
  mergeAdapter,
  serverAdvice,
  serverCommand,
  serverLog,
  serverRequirements,
  withServerError,
  type ServeOptions,
} from "./serve-model.ts";

const errorNoticeMs = 1_000; // a server's error is in its output a little later than in its reply

/**
 * Starts servers for a model on a Ray cluster, and waits until one answers.
 *
 * @throws as `startServers`
 */
export async function serveOnRay(model: LocalModel, options: ServeOptions & RayServing): Promise<ServedOnRay> {
  const { address, replicas = 1, run, kind, modelHash, signal, onPhase, onFailure } = options;
  const gpus = options.gpus ?? (kind === "vllm" ? 1 : 0);
  if (kind === "transformers" && gpus > 0)
    throw new UsageError("--gpus: expected 0 with transformers serve, which is started on CPUs; or --server vllm");
  const log = serverLog(run, model);
  makeFolder(join(run.folder, "served"));
  const { adapter } = model;
  const path = adapter && kind === "transformers" ? await mergeAdapter(model, log, options) : model.path;
  const { prints, files } = describeModelFiles(model.isOnHub ? undefined : path);
  const name = kind === "vllm" ? (options.name ?? `alpagasus-${modelHash.slice(0, 12)}`) : "";
  return startServers({
    address,
    replicas,
    gpus,
    spec: {
      path,
      isOnHub: model.isOnHub,
      files: prints,
      hash: modelHash.slice(0, 32),
      name,
      offline: !model.isOnHub && (!adapter || kind === "transformers"),
      command: serverCommand(
        kind,
        { path: "{model}", adapter: kind === "vllm" ? adapter : undefined, precision: model.precision },
        { served: "{model}", host: "{host}", port: "{port}", name, packages: "{requirements}", gpus },
        (file) => file in prints,
      ),
      scripts: {},
    },
    requirements: serverRequirements[kind],
    files,
    log,
    otherwise: gpus > 0 ? "take --server transformers for a small model" : undefined,
    advice: serverAdvice,
    async check({ url, model: served }, lastLines) {
      try {
        await generateOneToken(url, served, signal);
      } catch (error) {
        await delay(errorNoticeMs);
        throw withServerError(error, await lastLines());
      }
    },
    signal,
    onPhase,
    onFailure,
  });
}
