import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import * as z from "zod";
import { messageOf, PythonError } from "../errors.ts";
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
    const { sizes, files } = describeModelFiles(isOnHub ? undefined : model);
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
        files: sizes,
        hash: modelHash.slice(0, 32),
        name: "rows",
        offline: !isOnHub,
        command: uvRun(command, { requirements: "{requirements}", packages: parts?.packages }),
        scripts,
      },
      requirements: parts?.requirements ?? trainerRequirements,
      files,
      log,
      async check({ url }) {
        const { text } = await request(new URL("/health", url).href, { body: undefined, signal });
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
