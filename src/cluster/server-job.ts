import { hash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { RunError } from "../errors.ts";
import { formatCount } from "../format.ts";
import type { Advice } from "../python/failure.ts";
import { constraintsOf, pythonFolder } from "../python/uv.ts";
import { packFiles } from "./package.ts";
import { RayCluster } from "./ray.ts";
import { isOver, type RayJob } from "./ray-job.ts";

/*
 * The job that starts servers on a Ray cluster: `python/ray_serve.py`.
 */

/** What each server is, as `ray_serve.py` reads it. */
interface ServerSpec {
  /** The model's folder on this machine, or its id on the Hub. */
  readonly path: string;
  readonly isOnHub: boolean;
  /** Fingerprints of the folder's files, by which it is known on the cluster's machines. */
  readonly files: Readonly<Record<string, string>>;
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

const lookMs = 500;
const endMs = 30_000;

/** @throws RunError when the cluster has too little room for the servers */
export async function expectRoom(cluster: RayCluster, { replicas, gpus, otherwise }: ServeOptions): Promise<void> {
  const has = await cluster.resources();
  const [wanted, found, what] = gpus > 0 ? [replicas * gpus, has.gpus, "GPUs"] : [replicas, has.cpus, "CPUs"];
  if (found >= wanted) return;
  const most = Math.floor(found / Math.max(1, gpus));
  const smaller = most > 0 ? `take --replicas ${most}, or` : otherwise === undefined ? "take" : `${otherwise}, or take`;
  throw new RunError(
    `--on: expected a cluster with ${wanted} ${what} for ${replicas} ${replicas === 1 ? "server" : "servers"}, got ${formatCount(found)} on ${has.machines} ${has.machines === 1 ? "machine" : "machines"}; ${smaller} a larger cluster`,
  );
}

/** Jobs that this process is starting, by address and hash: two that want the same servers at the same time share one. */
const starting = new Map<string, Promise<string>>();

/** A job with these servers: one that runs there, unless `isAlone`, or a new one. */
export async function findOrStart(
  cluster: RayCluster,
  { spec, replicas, gpus, files: modelFiles, requirements, signal }: ServeOptions,
  isAlone: boolean,
): Promise<{ readonly id: string; readonly isNew: boolean }> {
  const script = readFileSync(join(pythonFolder, "ray_serve.py"));
  const constraints = constraintsOf(requirements);
  const scripts = { ...spec.scripts, [basename(constraints)]: readFileSync(constraints, "utf8") }; // lie beside the requirements
  const text = JSON.stringify({ ...spec, scripts, replicas, gpus }, null, 2);
  const packages = readFileSync(requirements);
  const metadata = {
    alpagasus: "serve",
    hash: hash("sha256", [text, script.toString(), packages.toString()].join("\0")),
  };
  const isSame = ({ metadata: theirs }: RayJob) =>
    Object.entries(metadata).every(([key, value]) => theirs[key] === value);
  const key = `${cluster.address} ${metadata.hash}`;
  const sibling = starting.get(key);
  if (sibling && !isAlone) return { id: await sibling, isNew: false };
  const started = Promise.withResolvers<string>();
  started.promise.catch(() => {}); // whoever waits is told
  starting.set(key, started.promise);
  try {
    const running = isAlone ? undefined : (await cluster.jobs()).find((job) => isSame(job) && !isOver(job));
    const id = running?.id ?? (await submit());
    started.resolve(id);
    return { id, isNew: !running };
  } catch (error) {
    started.reject(error);
    throw error;
  } finally {
    starting.delete(key);
  }

  async function submit(): Promise<string> {
    const files = new Map([
      ["ray_serve.py", script],
      ["serve.json", Buffer.from(text)],
      ["requirements.txt", packages],
      ...[...modelFiles].map(([name, bytes]) => [`model/${name}`, bytes] as const),
    ]);
    signal?.throwIfAborted();
    const workingDir = await cluster.send(packFiles(files));
    return cluster.submit({
      id: `alpagasus-serve-${metadata.hash.slice(0, 12)}-${randomUUID().slice(0, 8)}`,
      entrypoint: "python ray_serve.py",
      workingDir,
      metadata,
    });
  }
}

/** Waits until a job that nobody asks any more has ended, for a while. */
export async function untilEnded(address: string, id: string): Promise<void> {
  try {
    const cluster = await RayCluster.open(address);
    const until = Date.now() + endMs;
    while (Date.now() < until && !isOver(await cluster.job(id))) await delay(lookMs);
  } catch {
    // the cluster answers no more: the job ends by itself a minute after the last question
  }
}

/** Stops a job, if the cluster can be asked. */
export async function stopJob(address: string, id: string): Promise<void> {
  try {
    await (await RayCluster.open(address)).stop(id);
  } catch {
    // likewise
  }
}
