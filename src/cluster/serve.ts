import { randomUUID } from "node:crypto";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import * as z from "zod";
import { PythonError, RunError, messageOf } from "../errors.ts";
import { makeFolder } from "../files/make-folder.ts";
import { tryParse } from "../files/try-parse.ts";
import { commonAdvice, describeFailure } from "../python/failure.ts";
import { readInstallPhase } from "../python/uv.ts";
import { followJob } from "./follow-job.ts";
import { RayCluster } from "./ray.ts";
import { request } from "./request.ts";
import { expectRoom, findOrStart, stopJob, untilEnded, type RayServer, type ServeOptions } from "./server-job.ts";

/*
 * Servers on a Ray cluster: a job (`python/ray_serve.py`) starts them and tells on a page where they are. The job ends when this process asks no
 * more, whatever ended it; servers of the same kind are found again in a job that still runs.
 */

/** Where servers are started, and how many. */
export interface RayServing {
  /** The address of the cluster's dashboard. */
  readonly address: string;
  /** How many servers; 1 when left out. */
  readonly replicas?: number | undefined;
  /** GPUs of each server; 1 on a cluster with GPUs when left out. */
  readonly gpus?: number | undefined;
}

export interface ServedOnRay {
  /** The servers that are ready; the last ones known while none is. */
  servers(): readonly RayServer[];
  /** The servers that are ready. */
  listed(): readonly RayServer[];
  /** Servers that were given up, a line each. */
  notes(): readonly string[];
  /** Time until the first one was ready, in milliseconds. */
  readonly startMs: number;
  /** Leaves the servers, which end unless another command uses them. */
  stop(): Promise<void>;
}

const askMs = 2_000;
const answerMs = 10_000;
const reachMs = 60_000; // for the page, after the job has told its address
const pageSchema = z.object({
  servers: z.array(z.object({ url: z.string(), model: z.string() })),
  notes: z.array(z.string()),
  clients: z.number(),
});

/**
 * Starts servers on a cluster, and waits until one is ready. Servers of the same kind that another command has started there are used, too.
 *
 * @throws RunError when the cluster cannot be asked, is too small, or its machines are not reached; PythonError when no server starts
 */
export async function startServers(options: ServeOptions): Promise<ServedOnRay> {
  try {
    return await start(options);
  } catch (error) {
    if (!(error instanceof OldJobError)) throw error;
    return start(options, { isAlone: true }); // the one that was found was about to end
  }
}

/** A job that was found there has ended before a server was ready. */
class OldJobError extends Error {}

/** @param isAlone whether no job that runs there is used */
async function start(options: ServeOptions, { isAlone = false } = {}): Promise<ServedOnRay> {
  const { address, log, advice = commonAdvice, signal, onPhase } = options;
  const startedAt = Date.now();
  const cluster = await RayCluster.open(address, signal);
  await expectRoom(cluster, options);
  makeFolder(dirname(log));
  const { id, isNew } = await findOrStart(cluster, options, isAlone);
  onPhase?.(isNew ? `starting the servers as the job ${id}` : `using the servers of the job ${id}`);
  const client = randomUUID();
  let page: string | undefined;
  let servers: readonly RayServer[] = [];
  let listed: readonly RayServer[] = [];
  let notes: readonly string[] = [];
  let failure: Error | undefined;
  let lastError: { readonly since: number; readonly message: string } | undefined;
  let state: "starting" | "ready" | "stopping" = "starting";
  const leaving = new AbortController();
  const following = followJob(await RayCluster.open(address, leaving.signal), id, {
    log,
    onLine(line) {
      page ??= /^alpagasus: servers are listed at (http:\S+)$/.exec(line)?.[1];
      const phase = /^alpagasus: (.+)$/.exec(line)?.[1] ?? readInstallPhase(line);
      if (phase !== undefined && !phase.startsWith("servers are listed")) onPhase?.(phase);
      return phase !== undefined || line.trim() === "";
    },
  }).then(
    (ended) => {
      const what = `${log}: the job ${id} on ${address}`;
      failure =
        ended.state === "stopped"
          ? new RunError(`${what} was stopped by somebody; run the same command again`)
          : ended.said.length === 0
            ? new PythonError(`${what} has ended: ${ended.message || "Ray says nothing more"}`)
            : describeFailure(what, 1, ended.said, advice);
      if (state === "ready") options.onFailure?.(failure);
      return undefined;
    },
    (error: unknown) => {
      if (state === "stopping") return;
      failure = error instanceof Error ? error : new RunError(messageOf(error));
      if (state === "ready") options.onFailure?.(failure);
    },
  );
  const ask = async (suffix = "") => {
    const asked = await request(`${page!}${suffix}?client=${client}`, {
      body: undefined,
      signal: AbortSignal.timeout(answerMs),
    });
    return pageSchema.parse(tryParse(asked.text));
  };
  const lastLines = async () => {
    const asked = await request(`${page!}/said?client=${client}`, {
      body: undefined,
      signal: AbortSignal.timeout(answerMs),
    }).catch(() => undefined);
    const lines = z.array(z.string()).safeParse(tryParse(asked?.text ?? ""));
    return lines.data ?? [];
  };
  const look = async () => {
    if (page === undefined) return;
    try {
      const found = await ask();
      const isSame = JSON.stringify(found.servers) === JSON.stringify(servers);
      if (!isSame && found.servers.length > 0) servers = found.servers;
      ({ servers: listed, notes } = found);
      lastError = undefined;
    } catch (error) {
      lastError ??= { since: Date.now(), message: messageOf(error) };
    }
  };
  const stop = async () => {
    state = "stopping";
    clearInterval(asking);
    const left = page === undefined ? undefined : await ask("/leave").catch(() => undefined);
    // it ends by itself when nobody asks any more; one that nobody can ask yet is stopped
    if (failure === undefined && left?.clients === 0) await untilEnded(address, id);
    else if (failure === undefined && page === undefined && isNew) await stopJob(address, id);
    leaving.abort();
    await following;
  };
  const asking = setInterval(() => void look(), askMs);
  try {
    for (;;) {
      signal?.throwIfAborted();
      if (failure) throw isNew ? failure : new OldJobError(failure.message);
      await look();
      if (servers.length > 0) break;
      if (lastError && Date.now() - lastError.since > reachMs)
        throw new RunError(
          `${page}: expected to reach the cluster's machines from this one, got no answer (${lastError.message}); run the command on a machine of the cluster's network`,
        );
      await delay(askMs / 4, undefined, { signal });
    }
    await options.check?.(servers[0]!, lastLines);
    state = "ready";
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    servers: () => servers,
    listed: () => listed,
    notes: () => notes,
    startMs: Date.now() - startedAt,
    stop,
  };
}
