import { hash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import * as z from "zod";
import { messageOf, RunError } from "../errors.ts";
import { tryParse } from "../files/try-parse.ts";
import { rayToken } from "./address.ts";
import { isOver, jobSchema, toJob, type RayJob } from "./ray-job.ts";
import { request, type Answer } from "./request.ts";

/*
 * Ray's job API (https://docs.ray.io/en/latest/cluster/running-applications/job-submission/rest.html): a folder is sent as a package, and a
 * command runs in it on the cluster's head.
 */

const leastVersion = [2, 51] as const; // the first whose Train is the one that `ray_train.py` uses
const answerMs = 30_000;
const startMs = 330_000; // Ray itself waits five minutes for the head to take a job
const agentMs = 60_000;
const pollMs = 1_000;
const followMs = 3_000;
const mostTries = 6;

/** What the machines of a cluster have in all. */
export interface RayResources {
  readonly machines: number;
  readonly cpus: number;
  readonly gpus: number;
}

export class RayCluster {
  readonly address: string;
  readonly #token: string | undefined;
  readonly #signal: AbortSignal | undefined;

  private constructor(address: string, token: string | undefined, signal: AbortSignal | undefined) {
    this.address = address;
    this.#token = token;
    this.#signal = signal;
  }

  /**
   * Opens a cluster by its dashboard's address. `RAY_AUTH_TOKEN` is sent where it is set, or its host's own (see `rayToken`).
   *
   * @throws RunError when no Ray answers there, or one that is too old
   */
  static async open(address: string, signal?: AbortSignal): Promise<RayCluster> {
    const cluster = new RayCluster(address, rayToken(address, process.env), signal);
    const version = z.object({ ray_version: z.string() }).safeParse(tryParse(await cluster.#get("/api/version")));
    if (!version.success)
      throw new RunError(
        `${address}: expected a Ray cluster's dashboard, something else answers; its port is usually 8265`,
      );
    const [major = 0, minor = 0] = version.data.ray_version.split(".").map(Number);
    if (major < leastVersion[0] || (major === leastVersion[0] && minor < leastVersion[1]))
      throw new RunError(
        `${address}: expected Ray ${leastVersion.join(".")} or later, got ${version.data.ray_version}; update the cluster`,
      );
    return cluster;
  }

  /** What the machines that are alive have. */
  async resources(): Promise<RayResources> {
    const text = await this.#get("/api/v0/nodes?detail=1&limit=10000");
    const schema = z.object({
      data: z.object({
        result: z.object({
          result: z.array(z.object({ state: z.string(), resources_total: z.record(z.string(), z.number()) })),
        }),
      }),
    });
    const nodes = this.#read("/api/v0/nodes", schema, text).data.result.result.filter(({ state }) => state === "ALIVE");
    const sum = (name: string) => nodes.reduce((total, { resources_total: has }) => total + (has[name] ?? 0), 0);
    return { machines: nodes.length, cpus: sum("CPU"), gpus: sum("GPU") };
  }

  /** Sends a zip file, if the cluster has not got it, and returns its name there. */
  async send(zip: Uint8Array): Promise<string> {
    const name = `_ray_pkg_${hash("sha256", zip).slice(0, 16)}.zip`;
    const path = `/api/packages/gcs/${name}`;
    if ((await this.#ask(path)).status !== 200)
      this.#expectGood(path, await this.#ask(path, { method: "PUT", body: zip }));
    return `gcs://${name}`;
  }

  /** Starts a job in a package that was sent. @returns its id */
  async submit(job: {
    readonly id: string;
    readonly entrypoint: string;
    readonly workingDir: string;
    readonly metadata: Readonly<Record<string, string>>;
  }): Promise<string> {
    const body = {
      submission_id: job.id,
      entrypoint: job.entrypoint,
      runtime_env: { working_dir: job.workingDir },
      metadata: job.metadata,
    };
    const asking = { method: "POST", body: JSON.stringify(body), timeoutMs: startMs };
    const until = Date.now() + agentMs;
    let asked = await this.#ask("/api/jobs/", asking);
    while (isAgentMissing(asked) && Date.now() < until) {
      await delay(followMs, undefined, { signal: this.#signal });
      asked = await this.#ask("/api/jobs/", asking);
    }
    const answer = this.#expectGood("/api/jobs/", asked);
    return this.#read("/api/jobs/", z.object({ submission_id: z.string() }), answer).submission_id;
  }

  /** All submitted jobs that the cluster remembers, the newest first. */
  async jobs(): Promise<RayJob[]> {
    const found = this.#read("/api/jobs/", z.array(z.unknown()), await this.#get("/api/jobs/"));
    return found
      .flatMap((job) => {
        const read = jobSchema.safeParse(job); // jobs that nobody submitted have other fields
        return read.success && read.data.submission_id ? [read.data] : [];
      })
      .toSorted((a, b) => (b.start_time ?? 0) - (a.start_time ?? 0))
      .map(toJob);
  }

  async job(id: string): Promise<RayJob> {
    const path = `/api/jobs/${encodeURIComponent(id)}`;
    return toJob(this.#read(path, jobSchema, await this.#get(path)));
  }

  async stop(id: string): Promise<void> {
    const path = `/api/jobs/${encodeURIComponent(id)}/stop`;
    this.#expectGood(path, await this.#ask(path, { method: "POST" }));
  }

  /**
   * Follows a job's output to its end.
   *
   * @param onText called with each piece of output
   * @returns the job as it ended
   */
  async follow(id: string, onText: (text: string) => void): Promise<RayJob> {
    let read = 0;
    for (;;) {
      const job = await this.#patiently(() => this.job(id)); // before its output, so that what it said last is read
      const startedAt = Date.now();
      const { logs } = await this.#patiently(() => this.#logs(id));
      if (logs.length > read) onText(logs.slice(read));
      read = Math.max(read, logs.length);
      if (isOver(job)) return job;
      // all of the output comes each time: what is long is asked for less often
      await delay(Math.max(followMs, 5 * (Date.now() - startedAt)), undefined, { signal: this.#signal });
    }
  }

  async #logs(id: string): Promise<{ logs: string }> {
    const path = `/api/jobs/${encodeURIComponent(id)}/logs`;
    return this.#read(
      path,
      z.object({
        logs: z
          .string()
          .nullish()
          .transform((logs) => logs ?? ""),
      }),
      await this.#get(path),
    );
  }

  /** Asks again where the cluster fails for a moment, as it does while its head is busy. */
  async #patiently<T>(ask: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++)
      try {
        return await ask();
      } catch (cause) {
        this.#signal?.throwIfAborted();
        if (tries >= mostTries) throw cause;
        await delay(tries * pollMs, undefined, { signal: this.#signal });
      }
  }

  get #headers(): Record<string, string> {
    return this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
  }

  async #get(path: string): Promise<string> {
    return this.#expectGood(path, await this.#ask(path));
  }

  async #ask(path: string, { method = "GET", body, timeoutMs = answerMs }: Asking = {}): Promise<Answer> {
    try {
      return await request(this.address + path, {
        method,
        body,
        headers: { ...this.#headers, ...(typeof body === "string" ? { "content-type": "application/json" } : {}) },
        signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(this.#signal ? [this.#signal] : [])]),
      });
    } catch (cause) {
      this.#signal?.throwIfAborted();
      throw new RunError(
        `${this.address}: expected a Ray cluster's dashboard, none answers (${messageOf(cause)}); is the head running, and its port open to this machine?`,
        { cause },
      );
    }
  }

  /** @throws RunError when the answer is not what Ray gives */
  #read<T>(path: string, schema: z.ZodType<T>, text: string): T {
    const read = schema.safeParse(tryParse(text));
    if (read.success) return read.data;
    throw new RunError(
      `${this.address}${path}: expected an answer of Ray's job API, got ${text.replaceAll(/\s+/g, " ").slice(0, 120)}; is this a Ray cluster's dashboard?`,
    );
  }

  #expectGood(path: string, { status, text }: Answer): string {
    if (status >= 200 && status < 300) return text;
    if (status === 401 || status === 403)
      throw new RunError(`${this.address}: the cluster wants a token (status ${status}); set RAY_AUTH_TOKEN`);
    const last = text.trim().split("\n").at(-1) ?? "";
    throw new RunError(
      `${this.address}${path}: expected an answer of Ray's job API, got status ${status}: ${last.slice(0, 300)}`,
    );
  }
}

/** Whether the part of Ray that takes jobs is not up yet, as in the first seconds of a cluster. */
function isAgentMissing({ status, text }: Answer): boolean {
  return status === 500 && text.includes("No available agent");
}

interface Asking {
  readonly method?: string | undefined;
  readonly body?: string | Uint8Array | undefined;
  readonly timeoutMs?: number | undefined;
}
