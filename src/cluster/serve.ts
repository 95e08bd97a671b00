import { hash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import * as z from "zod";
import { PythonError, RunError, messageOf } from "../errors.ts";
import { makeFolder } from "../files/make-folder.ts";
import { tryParse } from "../files/try-parse.ts";
import { formatCount } from "../format.ts";
import { commonAdvice, describeFailure, type Advice } from "../python/failure.ts";
import { pythonFolder, readInstallPhase } from "../python/uv.ts";
import { followJob } from "./follow-job.ts";
import { packFiles } from "./package.ts";
import { RayCluster } from "./ray.ts";
import { isOver, type RayJob } from "./ray-job.ts";
import { request } from "./request.ts";

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

/** What each server is, as `ray_serve.py` reads it. */
interface ServerSpec {
  /** The model's folder on this machine, or its id on the Hub. */
  readonly path: string;
  readonly isOnHub: boolean;
  /** The folder's files and their bytes, by which it is known on the cluster's machines. */
  readonly files: Readonly<Record<string, number>>;
  /** Identifies the model. */
  readonly hash: string;
  /** The model's name in requests; "" where it is the folder. */
  readonly name: string;
  /** Whether the Hub is not asked. */
  readonly offline: boolean;
  /** uv's arguments, with {host}, {port}, {model}, {requirements} and {scripts} to be filled in. */
  readonly command: readonly string[];
  /** Scripts that it needs, by name. */
  readonly scripts: Readonly<Record<string, string>>;
}

export interface ServeOptions {
  readonly address: string;
  readonly replicas: number;
  /** GPUs of each server. */
  readonly gpus: number;
  readonly spec: ServerSpec;
  /** The requirements file of the servers. */
  readonly requirements: string;
  /** The model's files, where they are not too large to be sent. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** The job's output is appended to this file. */
  readonly log: string;
  /** What is done where the cluster has too little room, for the message. */
  readonly otherwise?: string | undefined;
  readonly advice?: readonly Advice[] | undefined;
  /** Looks at the first server that is ready; with its last lines, should it not answer as it should. */
  readonly check?: ((server: RayServer, lastLines: () => Promise<string[]>) => Promise<void>) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onPhase?: ((phase: string) => void) | undefined;
  /** Called when the job ends by itself after a server was ready. */
  readonly onFailure?: ((error: Error) => void) | undefined;
}

/** A server on the cluster. */
export interface RayServer {
  readonly url: string;
  /** The model's name in requests. */
  readonly model: string;
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
const endMs = 30_000;
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
  const { address, log, advice = commonAdvice, signal, onPhase } = options;
  const startedAt = Date.now();
  const cluster = await RayCluster.open(address, signal);
  await expectRoom(cluster, options);
  makeFolder(dirname(log));
  const { id, isNew } = await findOrStart(cluster, options);
  onPhase?.(isNew ? `starting the servers as the job ${id}` : `using the servers of the job ${id}`);
  const client = randomUUID();
  let page: string | undefined;
  let servers: readonly RayServer[] = [];
  let listed: readonly RayServer[] = [];
  let notes: readonly string[] = [];
  let others = 0;
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
      ({ servers: listed, notes, clients: others } = found);
      lastError = undefined;
    } catch (error) {
      lastError ??= { since: Date.now(), message: messageOf(error) };
    }
  };
  const stop = async () => {
    state = "stopping";
    clearInterval(asking);
    const left = page === undefined ? undefined : await ask("/leave").catch(() => undefined);
    const isOurs = left === undefined ? others <= 1 : left.clients === 0;
    if (isOurs && failure === undefined) await endJob(address, id);
    leaving.abort();
    await following;
  };
  const asking = setInterval(() => void look(), askMs);
  try {
    for (;;) {
      signal?.throwIfAborted();
      if (failure) throw failure;
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

async function expectRoom(cluster: RayCluster, { replicas, gpus, otherwise }: ServeOptions): Promise<void> {
  const has = await cluster.resources();
  const [wanted, found, what] = gpus > 0 ? [replicas * gpus, has.gpus, "GPUs"] : [replicas, has.cpus, "CPUs"];
  if (found >= wanted) return;
  const most = Math.floor(found / Math.max(1, gpus));
  const smaller = most > 0 ? `take --replicas ${most}, or` : otherwise === undefined ? "take" : `${otherwise}, or take`;
  throw new RunError(
    `--on: expected a cluster with ${wanted} ${what} for ${replicas} ${replicas === 1 ? "server" : "servers"}, got ${formatCount(found)} on ${has.machines} ${has.machines === 1 ? "machine" : "machines"}; ${smaller} a larger cluster`,
  );
}

async function findOrStart(
  cluster: RayCluster,
  { spec, replicas, gpus, files: modelFiles, requirements, signal }: ServeOptions,
): Promise<{ readonly id: string; readonly isNew: boolean }> {
  const script = readFileSync(join(pythonFolder, "ray_serve.py"));
  const text = JSON.stringify({ ...spec, replicas, gpus }, null, 2);
  const packages = readFileSync(requirements);
  const metadata = {
    alpagasus: "serve",
    hash: hash("sha256", [text, script.toString(), packages.toString()].join("\0")),
  };
  const isSame = ({ metadata: theirs }: RayJob) =>
    Object.entries(metadata).every(([key, value]) => theirs[key] === value);
  const jobs = (await cluster.jobs()).filter(isSame);
  const running = jobs.find((job) => !isOver(job));
  if (running) return { id: running.id, isNew: false };
  const files = new Map([
    ["ray_serve.py", script],
    ["serve.json", Buffer.from(text)],
    ["requirements.txt", packages],
    ...[...modelFiles].map(([name, bytes]) => [`model/${name}`, bytes] as const),
  ]);
  signal?.throwIfAborted();
  const workingDir = await cluster.send(packFiles(files));
  const id = await cluster.submit({
    id: `alpagasus-serve-${metadata.hash.slice(0, 12)}-${jobs.length + 1}`,
    entrypoint: "python ray_serve.py",
    workingDir,
    metadata,
  });
  return { id, isNew: true };
}

/** Waits until a job that nobody asks any more has ended, and stops it if that takes long. */
async function endJob(address: string, id: string): Promise<void> {
  try {
    const cluster = await RayCluster.open(address);
    const until = Date.now() + endMs;
    while (!isOver(await cluster.job(id))) {
      if (Date.now() > until) {
        await cluster.stop(id);
        return;
      }
      await delay(askMs / 4);
    }
  } catch {
    // the cluster answers no more: the job ends by itself a minute after the last question
  }
}
