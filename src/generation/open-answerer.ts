import { existsSync } from "node:fs";
import type { LanguageModelV4 } from "@ai-sdk/provider";
import { setTimeout as delay } from "node:timers/promises";
import { PythonError, UsageError } from "../errors.ts";
import { openAsker, type OpenAskerOptions } from "../judge/open-asker.ts";
import { isModelName } from "../llm/model-name.ts";
import type { ChatModel, LanguageClient, ModelServer as ServerOfModel } from "../llm/chat-model.ts";
import type { openServedModel } from "../llm/open-compatible.ts";
import { flatPrice } from "../llm/price.ts";
import { runFolder } from "../run/run-folder.ts";
import { isSmollm2, makeSmollm2 } from "../python/smollm2.ts";
import type { TrainingRecipe } from "../trainer/recipe.ts";
import { chooseServerKind } from "./choose-server.ts";
import { createAnswerer, type Answerer, type AnswerSampling } from "./answerer.ts";
import { findLocalModel, hashModel, type LocalModel } from "./local-model.ts";
import { checkPromptParity } from "./prompt-parity.ts";
import {
  describeServer,
  serverConcurrency,
  serveModel,
  serverLog,
  type ModelServer,
  type ServeOptions,
  type ServerKind,
} from "./serve-model.ts";
import type { RayServing, ServedOnRay } from "../cluster/serve.ts";
import type { RayServer } from "../cluster/server-job.ts";

export interface OpenAnswererOptions extends OpenAskerOptions {
  /** How an instruction and its input become one message. Defaults to the template of the model's training, else `chat`. */
  readonly template?: TrainingRecipe["template"] | undefined;
  readonly sampling?: AnswerSampling | undefined;
  /** Which server to start for a local model. Defaults to vLLM with an NVIDIA GPU, else to `transformers serve`. */
  readonly server?: ServerKind | undefined;
  /** Start the servers of a local model on a Ray cluster. */
  readonly ray?: RayServing | undefined;
  /** Called with what is done before it can answer, such as downloading the model. */
  readonly onPhase?: ((phase: string) => void) | undefined;
}

/** A model that answers, with its call store open. `close` closes the store and stops the server. */
export type OpenAnswerer = Answerer & {
  /** The default name of its answers. */
  readonly armName: string;
  /** For local models: the server to start before the first call. Stored calls need none. */
  readonly server?: {
    /** `vllm 0.33.0` */
    readonly description: string;
    /** The file that its output is appended to. */
    readonly log: string;
    /** Starts it. Returns the time that took, in milliseconds, and the result of {@link checkPromptParity}. */
    start(onPhase: (phase: string) => void): Promise<{ startMs: number; parity: string }>;
    /** Why it exited by itself, if it did. */
    readonly failure: string | undefined;
  };
  close(): Promise<void>;
};

/**
 * Opens a model that answers prompts: one behind an API (`openai:gpt-5-mini`, `http://127.0.0.1:8000/v1#qwen3`), any model of
 * the AI SDK, or a local one (see `findLocalModel`). For a local one, call `server.start` before the first call.
 *
 * @throws UsageError when the name or an option is invalid, RunError when the model's training is unfinished
 */
export async function openAnswerer(
  model: string | LanguageModelV4,
  options: OpenAnswererOptions,
): Promise<OpenAnswerer> {
  if (typeof model === "string" && !isModelName(model)) return openLocalAnswerer(model, options);
  const { template = "chat", sampling, server, ray, onPhase: _, ...others } = options;
  if (server !== undefined || ray)
    throw new UsageError(
      `${ray ? "--on" : "--server"}: expected a model's folder, or its id on the Hub; one behind an API has its own server`,
    );
  const answerer = await openAsker(model, others, (chatModel, asking) =>
    createAnswerer(chatModel, { ...asking, template, sampling }),
  );
  return { ...answerer, armName: armNameOf(answerer.name), close: async () => answerer.close() };
}

/** `openai:gpt-5-mini` → `gpt-5-mini`, `http://HOST/v1#org/qwen3` → `qwen3`. Safe as a file name. */
function armNameOf(name: string): string {
  const [, last = name] = /([^:#/]+)$/.exec(name) ?? [];
  return last.replace(/[^\w.-]+/g, "_").replace(/^\W+/, "") || "model";
}

async function openLocalAnswerer(name: string, options: OpenAnswererOptions): Promise<OpenAnswerer> {
  const { template, sampling, server: wanted, ray, batch, onPhase: tell, ...asking } = options;
  if (batch)
    throw new UsageError(
      `--batch: expected a model of a provider with batches (openai:, anthropic:, google:), got ${name}; leave --batch out`,
    );
  const { concurrency, timeoutMs, signal, forPlan = false } = asking;
  const run = runFolder(options.run);
  const local = await findLocalModel(name, run);
  const kind = wanted ?? (await chooseServerKind(ray?.address, signal));
  if (kind === "transformers" && ((sampling?.temperature ?? 0) > 0 || sampling?.topP !== undefined))
    throw new UsageError(
      "--temperature, --top-p: expected greedy answers, since transformers serve gives no others; leave the options out, or use --server vllm",
    );
  if (isSmollm2(name) && !forPlan) await makeSmollm2(signal, tell);
  const exists = local.isOnHub || existsSync(local.path); // false for SmolLM2 in a plan, which does not build it
  const modelHash = exists ? await hashModel(local, signal) : "";
  const description = await describeServer(kind);
  const serverEnded = new AbortController();
  let running: Pick<ModelServer, "stop"> | undefined;
  let served: ServedOnRay | undefined;
  let language: LanguageClient | undefined;
  let failure: string | undefined;
  const answerer = await openAsker(
    {
      ...describeModel(local, `${modelHash.slice(0, 16)} ${description}`, () => language!),
      ...(ray && { servers: listServers(() => served, concurrency ?? serverConcurrency[kind]) }),
    },
    {
      ...asking,
      concurrency: concurrency ?? serverConcurrency[kind],
      timeoutMs: timeoutMs ?? localTimeoutMs, // on a CPU an answer takes minutes
      signal: signal ? AbortSignal.any([signal, serverEnded.signal]) : serverEnded.signal,
    },
    (chatModel, engine) =>
      createAnswerer(chatModel, {
        ...engine,
        template: template ?? local.template ?? "chat",
        sampling,
      }),
  );
  const stopNow = () => void running?.stop(); // its unfinished answers cost nothing to generate again
  let starting: Promise<{ startMs: number; parity: string }> | undefined;
  /** Starts them. @returns one to compare prompts with */
  const startServers = async (serving: ServeOptions): Promise<Pick<ModelServer, "url" | "modelName" | "startMs">> => {
    if (!ray) {
      const started = await serveModel(local, serving);
      running = started;
      const { openServedModel } = await import("../llm/open-compatible.ts");
      language = openServedModel(started.url, started.modelName, concurrency ?? serverConcurrency[kind]);
      return started;
    }
    const [{ serveOnRay }] = await Promise.all([import("./serve-on-ray.ts"), loadServed()]);
    served = await serveOnRay(local, { ...serving, ...ray });
    running = served;
    const { url, model: modelName } = served.servers()[0]!;
    return { url, modelName, startMs: served.startMs };
  };
  const start = async (onPhase: (phase: string) => void) => {
    const onFailure = (error: Error) => {
      failure = error.message;
      serverEnded.abort();
    };
    const first = await startServers({ run, kind, modelHash, onPhase, onFailure, signal });
    signal?.addEventListener("abort", stopNow);
    onPhase("comparing prompts with training");
    try {
      return { startMs: first.startMs, parity: await checkPromptParity(local, first, kind, signal) };
    } catch (error) {
      await delay(500); // if the server exited, its own error says more
      throw failure === undefined ? error : new PythonError(failure, { cause: error });
    }
  };
  return {
    ...answerer,
    notes: () => [...local.notes, ...(served?.notes() ?? []), ...answerer.notes()],
    armName: armNameOf(local.name),
    server: {
      description,
      log: serverLog(run, local),
      get failure() {
        return failure;
      },
      start(onPhase: (phase: string) => void) {
        starting ??= start(onPhase); // only once, even if called again
        return starting;
      },
    },
    async close() {
      signal?.removeEventListener("abort", stopNow);
      await starting?.catch(() => {});
      await running?.stop();
      answerer.close();
    },
  };
}

const localTimeoutMs = 3_600_000;
const restartMs = 15 * 60_000; // a server that was lost may need so long to be started on another machine

let openServed: typeof openServedModel | undefined;

async function loadServed(): Promise<void> {
  openServed ??= (await import("../llm/open-compatible.ts")).openServedModel;
}

/** The servers on a cluster, as the engine asks them. */
function listServers(served: () => ServedOnRay | undefined, connections: number): NonNullable<ChatModel["servers"]> {
  const known = new Map<string, ServerOfModel>();
  let last: readonly RayServer[] = [];
  let current: readonly ServerOfModel[] = [];
  const open = ({ url, model }: RayServer): ServerOfModel => {
    const language = openServed!(url, model, connections);
    const opened = { address: url, language, redact: (text: string) => text };
    known.set(url, opened);
    return opened;
  };
  return {
    silenceMs: restartMs,
    current() {
      const listed = served()?.servers() ?? [];
      if (listed !== last) {
        last = listed;
        current = listed.map((server) => known.get(server.url) ?? open(server));
      }
      return current;
    },
  };
}

/** The model as the engine calls it. Its identity is its files and the server's version, not the server's address. */
function describeModel({ name }: LocalModel, identity: string, served: () => LanguageClient): ChatModel {
  return {
    name,
    identity: `local:${identity}`,
    language: { doGenerate: (call) => served().doGenerate(call) },
    price: flatPrice(0, 0, "a server of your own"),
    thinksFirst: false,
    redact: (text) => text,
  };
}
