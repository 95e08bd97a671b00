import { join } from "node:path";
import { UsageError } from "../errors.ts";
import { commonAdvice, describeFailure, failures, type Advice } from "../python/failure.ts";
import { startGroup, watched } from "../python/process-group.ts";
import { findUv, openPhaseReader, pythonFolder, uvRun } from "../python/uv.ts";

/*
 * Runs lm-evaluation-harness on one model: `python/benchmark.py`, with packages of its own.
 */

/** A model behind an OpenAI-compatible server that wants no key. */
export interface ServedModel {
  /** Without a path's end: `http://127.0.0.1:8000/v1`. */
  readonly address: string;
  readonly model: string;
  /** The folder or Hub id of its tokenizer, which tasks need that compare probabilities; null for none. */
  readonly tokenizer: string | null;
}

export interface HarnessJob {
  /** The folder of the model or adapter, or an id on the Hub. */
  readonly model: string;
  /** A model behind a server, in place of one that the harness loads; null for that. */
  readonly served: ServedModel | null;
  /** The base of an adapter; null for a model. */
  readonly base: string | null;
  readonly precision: "bf16" | "fp16" | "fp32";
  /** Whether prompts are put into the model's own chat template. */
  readonly chat: boolean;
  /** A folder with tasks of one's own. */
  readonly include: string | null;
  /** Only the first items of each task. */
  readonly limit: number | null;
  readonly batch: number | null;
  readonly seed: number;
  readonly allowCode: boolean;
  readonly tasks: readonly {
    readonly name: string;
    /** Examples in the prompt; null as the task says. */
    readonly shots: number | null;
    /** Where a line an item is written. */
    readonly items: string;
    /** Where the harness's figures are written, last. */
    readonly result: string;
  }[];
}

/** The packages that the harness runs with. */
export const harnessRequirements = join(pythonFolder, "requirements-benchmark.txt");

const advice: readonly Advice[] = [
  [failures.memory, "the memory is not enough: take a smaller --batch"],
  [/Loglikelihood is not supported/i, "this model tells no probabilities, which such tasks need"],
  [
    /couldn't connect to|OfflineModeIsEnabled|ConnectionError|LocalEntryNotFoundError|DatasetNotFoundError/i,
    "the task's data could not be loaded: the harness takes it from the Hub; a task over local files is a folder for --include",
  ],
  ...commonAdvice,
];

/**
 * Runs the tasks of a job that have no result yet. Each is kept when it is complete.
 *
 * @param jobPath the file with the job
 * @throws UsageError for a task that is not known or may not run, PythonError with the harness's own words when it fails
 */
export async function runHarness(
  jobPath: string,
  {
    log,
    allowCode,
    signal,
    onPhase,
    onRequests,
  }: {
    readonly log: string;
    /** Whether tasks may run what the model writes: it then sees no secrets of the environment. */
    readonly allowCode: boolean;
    readonly signal?: AbortSignal | undefined;
    readonly onPhase: (phase: string) => void;
    readonly onRequests: (done: number, total: number) => void;
  },
): Promise<void> {
  findUv();
  const command = uvRun(["python", join(pythonFolder, "benchmark.py"), jobPath], { requirements: harnessRequirements });
  const readPhase = openPhaseReader();
  const group = startGroup("sh", watched(["uv", ...command]), {
    env: {
      TOKENIZERS_PARALLELISM: "false",
      HF_DATASETS_DISABLE_PROGRESS_BARS: "1",
      ...(allowCode ? withoutSecrets() : {}),
    },
    log,
    onLine(line) {
      const phase = readPhase(line);
      if (phase !== undefined) onPhase(phase);
      const [, done, total] = /^Running \w+ requests:.*?(\d+)\/(\d+)/.exec(line) ?? [];
      if (done !== undefined) onRequests(Number(done), Number(total));
      return phase !== undefined || done !== undefined;
    },
  });
  const stop = () => void group.stop();
  signal?.addEventListener("abort", stop);
  try {
    const code = await group.ended;
    signal?.throwIfAborted();
    const own = group.said.findLast((line) => line.startsWith("benchmark.py: "));
    if (own !== undefined) throw new UsageError(own.slice("benchmark.py: ".length));
    if (code !== 0) throw describeFailure(`${log}: the harness`, code, group.said, advice);
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** Empties what looks like a secret: code that a model wrote can read its environment. */
function withoutSecrets(): Record<string, string> {
  const secrets = Object.keys(process.env).filter((name) =>
    /(TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|KEY)$/i.test(name),
  );
  return Object.fromEntries(secrets.map((name) => [name, ""]));
}
