import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import * as z from "zod";
import { messageOf, PythonError, RunError } from "../errors.ts";
import { tryParse } from "../files/try-parse.ts";
import type { RowProcess, RowProcessOptions } from "../python/row-process.ts";
import { pythonFolder, trainerRequirements, uvRun } from "../python/uv.ts";
import { dispatchRows, lotsAtATime, rowsAtATime } from "./dispatch-rows.ts";
import { describeModelFiles } from "./package.ts";
import { RayCluster } from "./ray.ts";
import { request } from "./request.ts";
import { startServers, type RayServing, type ServedOnRay } from "./serve.ts";

/*
 * A script that measures rows, on the machines of a Ray cluster: each runs it behind `python/row_server.py`.
 */

export interface RowsOnRayOptions<Result> extends RowProcessOptions<Result> {
  readonly ray: RayServing;
  /** The model: a folder of this machine, or an id on the Hub; one of the script's arguments. */
  readonly model: string;
  readonly isOnHub: boolean;
  /** Identifies the model. */
  readonly modelHash: string;
  /** The scripts that the script imports, and other files that it reads, by name. */
  readonly imports: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/** The number of rows that keep all servers busy. */
export function rowsInFlight({ replicas = 1 }: RayServing): number {
  return replicas * lotsAtATime * rowsAtATime;
}

const reachMs = 30_000;

/** Whether a folder holds an adapter whose base is not a folder. */
async function needsHub(folder: string): Promise<boolean> {
  const text = await readFile(join(folder, "adapter_config.json"), "utf8").catch(() => "{}");
  const base = z.object({ base_model_name_or_path: z.string() }).safeParse(tryParse(text))
    .data?.base_model_name_or_path;
  return base !== undefined && !existsSync(base);
}

/** Starts the servers. They end when this process does. */
export function startRowsOnRay<Row extends object, Result>(options: RowsOnRayOptions<Result>): RowProcess<Row, Result> {
  const { ray, signal, doing, afterFailure, log, onPhase, result } = options;
  let served: ServedOnRay | undefined;
  let commit: string | undefined;
  const servers = () => served?.listed().map(({ url }) => url) ?? [];
  const dispatcher = dispatchRows<Row, Result>({ servers, result, what: `${log}: ${doing}`, afterFailure, signal });
  const ready = start().then(
    (started) => {
      served = started;
      return undefined;
    },
    (error: unknown) => {
      dispatcher.stop(error instanceof Error ? error : new PythonError(messageOf(error)));
      throw error;
    },
  );
  ready.catch(() => {}); // whoever waits is told

  async function start(): Promise<ServedOnRay> {
    const { script, args, parts, imports, model, isOnHub, modelHash } = options;
    const gpus = ray.gpus ?? ((await (await RayCluster.open(ray.address, signal)).resources()).gpus > 0 ? 1 : 0);
    const { prints, files } = describeModelFiles(isOnHub ? undefined : model);
    const paths = [join(pythonFolder, "row_server.py"), join(pythonFolder, script), ...imports];
    const scripts = Object.fromEntries(paths.map((path) => [basename(path), readFileSync(path, "utf8")]));
    const sent = args.map((arg) =>
      arg === model ? "{model}" : paths.includes(arg) ? `{scripts}/${basename(arg)}` : arg,
    );
    const command = ["python", "{scripts}/row_server.py", "{host}", "{port}", `{scripts}/${script}`, ...sent];
    return startServers({
      ...ray,
      replicas: ray.replicas ?? 1,
      gpus,
      spec: {
        path: model,
        isOnHub,
        files: prints,
        hash: modelHash.slice(0, 32),
        name: "rows",
        offline: !isOnHub && !(await needsHub(model)),
        command: uvRun(command, { requirements: "{requirements}", packages: parts?.packages }),
        scripts,
      },
      requirements: parts?.requirements ?? trainerRequirements,
      files,
      log,
      async check({ url }) {
        const asked = {
          body: undefined,
          signal: AbortSignal.any([AbortSignal.timeout(reachMs), ...(signal ? [signal] : [])]),
        };
        const { text } = await request(new URL("/health", url).href, asked).catch((cause: unknown) => {
          signal?.throwIfAborted();
          throw new RunError(
            `${url}: expected to reach the cluster's machines from this one, got no answer (${messageOf(cause)}); run the command on a machine of the cluster's network`,
            { cause },
          );
        });
        commit = z.object({ commit: z.string() }).safeParse(tryParse(text)).data?.commit;
      },
      signal,
      onPhase,
      onFailure: (error) => dispatcher.stop(error),
    });
  }

  return {
    ready,
    device: () => dispatcher.device(),
    commit: () => commit,
    async measure(rows, onResults) {
      await ready;
      await dispatcher.measure(rows, onResults);
    },
    async stop() {
      dispatcher.stop(new PythonError(`${doing}: stopped`));
      await ready.catch(() => {});
      await served?.stop();
    },
  };
}
