import { spawnSync } from "node:child_process";
import { createServer } from "node:net";
import { existsSync, rmSync, symlinkSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve as resolvePath } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { messageOf, PythonError } from "../errors.ts";
import { adviseOn, commonAdvice, describeFailure, failures, lastError, type Advice } from "../python/failure.ts";
import { startGroup, watched } from "../python/process-group.ts";
import { findUv, pythonFolder, uvRun, readInstallPhase } from "../python/uv.ts";
import type { RunFolder } from "../run/run-folder.ts";
import type { LocalModel } from "./local-model.ts";
import { postJson } from "./post-json.ts";
import { endOrphans, markVariable, newMark, recordServer, serverGraceMs } from "./server-record.ts";
import { makeFolder } from "../files/make-folder.ts";

/*
 * Starts a server for a local model: vLLM with an NVIDIA GPU, else `transformers serve`.
 */

export type ServerKind = "vllm" | "transformers";

/** A running server. */
export interface ModelServer {
  /** Base URL of its OpenAI-compatible API: `http://127.0.0.1:41234/v1`. */
  readonly url: string;
  /** The model's name in requests. */
  readonly modelName: string;
  /** Time until it was ready, in milliseconds, including the merging of an adapter. */
  readonly startMs: number;
  stop(): Promise<void>;
}

export interface ServeOptions {
  readonly run: RunFolder;
  readonly kind: ServerKind;
  /** Hash of the model's files. When it changes, an adapter is merged again. */
  readonly modelHash: string;
  /** The model's name in requests to vLLM; one that no other server has when left out. */
  readonly name?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with each phase as it begins. */
  readonly onPhase?: ((phase: string) => void) | undefined;
  /** Called when the server exits by itself after it was ready. */
  readonly onFailure?: ((error: Error) => void) | undefined;
}

/** Concurrent calls that keep a server busy: `transformers serve` answers one after the other. */
export const serverConcurrency: Readonly<Record<ServerKind, number>> = { vllm: 64, transformers: 2 };

const healthMs = 250;
const exitNoticeMs = 1_000; // until the exit of a dead process is noticed
const mostStartMs = 30 * 60_000; // enough to download and load many gigabytes
const loraRanks = [8, 16, 32, 64, 128, 256, 320, 512]; // that vLLM accepts
/** The pinned packages of each server. */
export const serverRequirements: Readonly<Record<ServerKind, string>> = {
  vllm: join(pythonFolder, "requirements-vllm.txt"),
  transformers: join(pythonFolder, "requirements.txt"),
};

const notEnoughMemory =
  "not enough memory for this model: stop other programs that use it, or serve the model elsewhere and give that server with --endpoint";

/** Common server failures, and what to do about them. */
export const serverAdvice: readonly Advice[] = [
  [failures.memory, notEnoughMemory],
  [/No available memory|KV cache/i, notEnoughMemory],
  ...commonAdvice,
  [
    /chat_template is not set/i,
    "the model has no chat template: it was not made for chats; fine-tune it first, or name a chat model",
  ],
  [/address already in use/i, "another program took its port: run the same command again"],
];

/** The server that fits this machine. */
export function chooseServer(): ServerKind {
  return spawnSync("nvidia-smi", ["-L"], { stdio: "ignore" }).status === 0 ? "vllm" : "transformers";
}

/** The file that the output of a model's server is appended to. */
export function serverLog(run: Pick<RunFolder, "folder">, { name }: Pick<LocalModel, "name">): string {
  return join(run.folder, "served", `${name}.log`);
}

/** The server's name and pinned version: `vllm 0.33.0`. */
export async function describeServer(kind: ServerKind): Promise<string> {
  const [, version = ""] =
    new RegExp(`^${kind}[^=]*==(\\S+)`, "m").exec(await readFile(serverRequirements[kind], "utf8")) ?? [];
  return `${kind} ${version}`;
}

/**
 * Starts a server for a model on a free port of 127.0.0.1 and waits until it is ready. The server ends when this process does,
 * even by `kill -9`. Servers left over from processes that have ended are stopped first.
 *
 * @throws PythonError when uv is missing, or the server exits (with its error) or is not ready in time
 */
export async function serveModel(model: LocalModel, options: ServeOptions): Promise<ModelServer> {
  const { run, kind, signal, onPhase } = options;
  findUv();
  const startedAt = Date.now();
  const orphans = await endOrphans(run);
  if (orphans > 0) onPhase?.(`stopping ${orphans} leftover servers`);
  const log = serverLog(run, model);
  makeFolder(join(run.folder, "served"));
  const served =
    kind === "vllm" || model.isOnHub
      ? model.path
      : model.adapter
        ? await mergeAdapter(model, log, options)
        : nameFolder(model, options);
  signal?.throwIfAborted();
  onPhase?.("starting the server");
  const port = await findFreePort();
  const mark = newMark();
  const name = options.name ?? mark; // so that no other server is taken for it
  const isOffline = !model.isOnHub && (!model.adapter || existsSync(model.adapter.base) || kind === "transformers");
  const group = startGroup(
    "sh",
    watched(["uv", ...serverCommand(kind, model, { served, port, name })], serverGraceMs),
    {
      graceMs: serverGraceMs,
      env: { [markVariable]: mark, TOKENIZERS_PARALLELISM: "false", ...(isOffline && { HF_HUB_OFFLINE: "1" }) },
      log,
      onLine(line) {
        const phase = readInstallPhase(line);
        if (phase !== undefined) onPhase?.(phase);
      },
    },
  );
  let record: Disposable | undefined;
  let state: "starting" | "ready" | "stopping" = "starting";
  let failure: PythonError | undefined;
  void group.ended
    .catch(() => null)
    .then((code) => {
      record?.[Symbol.dispose]();
      failure = describeFailure(`${log}: the server`, code, group.said, serverAdvice);
      if (state === "ready") options.onFailure?.(failure);
      return undefined;
    });
  const stop = async () => {
    state = "stopping";
    await group.stop();
    record?.[Symbol.dispose]();
  };
  const modelName = kind === "vllm" ? name : served;
  const url = `http://127.0.0.1:${port}/v1`;
  try {
    record = recordServer(run, group.pid, mark);
    await waitForHealth(`http://127.0.0.1:${port}/health`, () => failure, signal);
    await generateOneToken(url, modelName, signal).catch(async (error: unknown) => {
      await delay(exitNoticeMs); // if it exited, its own error says more
      throw failure ?? withServerError(error, group.said);
    });
    state = "ready";
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, modelName, startMs: Date.now() - startedAt, stop };
}

/** Generates one token, to check the model's name and that memory suffices. @throws PythonError when that fails */
export async function generateOneToken(url: string, model: string, signal?: AbortSignal): Promise<void> {
  await postJson(
    new URL(`${url}/chat/completions`),
    { model, messages: [{ role: "user", content: "Hello" }], temperature: 0, max_tokens: 1 },
    signal,
  );
}

/** The error of a server that does not answer well, with what it says itself. */
export function withServerError(error: unknown, said: readonly string[]): unknown {
  const own = error instanceof PythonError ? lastError(said) : undefined;
  if (own === undefined) return error;
  const advice = adviseOn(own, serverAdvice);
  return new PythonError(
    `${messageOf(error)}: ${own.slice(0, mostErrorCharacters)}${advice === undefined ? "" : `; ${advice}`}`,
    { cause: error },
  );
}

const mostErrorCharacters = 400;
const dtypes = { fp32: "float32", bf16: "bfloat16", fp16: "float16" } as const;

/** Where a server runs, and under which name its model is asked for. */
export interface ServerPlace {
  /** The merged model, or the model's folder, for servers that take no adapters. */
  readonly served: string;
  readonly host?: string | undefined;
  readonly port: number | string;
  readonly name: string;
  /** The requirements file; the one that is shipped when left out. */
  readonly packages?: string | undefined;
  /** GPUs that it takes together. */
  readonly gpus?: number | undefined;
}

/**
 * uv's arguments that start a server.
 *
 * @param hasFile whether the model's folder has a file
 */
export function serverCommand(
  kind: ServerKind,
  { adapter, path, precision }: Pick<LocalModel, "adapter" | "path" | "precision">,
  { served, host = "127.0.0.1", port, name, packages = serverRequirements[kind], gpus = 1 }: ServerPlace,
  hasFile: (file: string) => boolean = (file) => existsSync(join(path, file)),
): string[] {
  const place = ["--host", host, "--port", String(port)];
  const parts = { requirements: packages };
  if (kind === "transformers") return uvRun(["transformers", "serve", served, ...place, "--device", "cpu"], parts);
  const command = ["vllm", "serve", adapter?.base ?? path, ...place];
  command.push("--dtype", dtypes[precision]);
  command.push("--generation-config", "vllm"); // ignore the model's own generation settings
  if (adapter) {
    command.push("--enable-lora", "--lora-modules", JSON.stringify({ name, path }));
    command.push("--max-lora-rank", String(loraRanks.find((rank) => rank >= adapter.rank) ?? adapter.rank));
    if (hasFile("tokenizer_config.json")) command.push("--tokenizer", path);
    if (hasFile("chat_template.jinja")) command.push("--chat-template", join(path, "chat_template.jinja"));
  } else command.push("--served-model-name", name);
  if (gpus > 1) command.push("--tensor-parallel-size", String(gpus));
  return uvRun(command, parts);
}

/** Merges an adapter into its base, unless that was done before: `transformers serve` does not take adapters. */
export async function mergeAdapter(
  model: LocalModel,
  log: string,
  options: Pick<ServeOptions, "modelHash" | "signal" | "onPhase"> & { readonly run: Pick<RunFolder, "folder"> },
): Promise<string> {
  const { run, modelHash, signal, onPhase } = options;
  const folder = join(run.folder, "served", `${model.name}-${modelHash.slice(0, 12)}`);
  if (existsSync(folder)) return folder;
  onPhase?.("merging the adapter");
  const command = uvRun(["python", join(pythonFolder, "merge.py"), model.path, folder, model.precision]);
  const isOffline = existsSync(model.adapter!.base);
  const group = startGroup("sh", watched(["uv", ...command]), { log, env: isOffline ? { HF_HUB_OFFLINE: "1" } : {} });
  const stop = () => void group.stop();
  signal?.addEventListener("abort", stop);
  try {
    const code = await group.ended;
    signal?.throwIfAborted();
    if (code !== 0) throw describeFailure(`${log}: merging the adapter`, code, group.said, serverAdvice);
  } finally {
    signal?.removeEventListener("abort", stop);
  }
  return folder;
}

/**
 * The folder of a whole model. `transformers serve` names a model by its folder, so one that is to have a name is linked under one that tells its
 * content: replies of a model are not to be taken for those of the next one in the same folder.
 */
function nameFolder({ path }: LocalModel, { run, name }: ServeOptions): string {
  if (name === undefined) return path;
  const link = resolvePath(run.folder, "served", name);
  rmSync(link, { force: true });
  symlinkSync(path, link, "junction");
  return link;
}

/** Finds a free port of 127.0.0.1. */
async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.on("error", reject).listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return (address as { port: number }).port; // of a server that listens on a port
}

/** @param failed returns the server's failure, if it has exited @throws PythonError when it has, or is not ready in time */
async function waitForHealth(url: string, failed: () => PythonError | undefined, signal?: AbortSignal): Promise<void> {
  const deadline = Date.now() + mostStartMs;
  while (Date.now() < deadline) {
    signal?.throwIfAborted();
    const isHealthy = await fetch(url, { signal: AbortSignal.timeout(5_000) }).then(
      (response) => response.ok,
      () => false,
    );
    const failure = failed();
    if (failure) throw failure;
    if (isHealthy) return;
    await delay(healthMs);
  }
  throw new PythonError(`${url}: the server was not ready after ${mostStartMs / 60_000} minutes`);
}
