import { dirname, join } from "node:path";
import * as z from "zod";
import { PythonError } from "../errors.ts";
import { makeFolder } from "../files/make-folder.ts";
import { tryParse } from "../files/try-parse.ts";
import { commonAdvice, describeFailure } from "../python/failure.ts";
import { startGroup } from "../python/process-group.ts";
import { findUv, pythonFolder, readInstallPhase, uvArguments } from "../python/uv.ts";
import type { Likelihood, LikelihoodPart } from "./likelihood-store.ts";

/*
 * The process that measures: `python/likelihood.py`, which keeps the model in memory.
 */

/** A row as the process takes it. */
export interface RowToMeasure {
  /** Text, or messages for the model's chat template, with its options. */
  readonly prompt: string | readonly object[];
  readonly answer: string | object;
  readonly options?: Readonly<Record<string, unknown>> | undefined;
  readonly needs: readonly LikelihoodPart[];
}

type Measured = Likelihood | { readonly problem: string };

/** A result, and the position of its row among those that were given. */
interface MeasuredRow {
  readonly at: number;
  readonly measured: Measured;
}

export interface MeasureProcess {
  /** Measures rows. `onResults` is called as soon as some are measured, in any order. @throws PythonError when the process fails */
  measure(rows: readonly RowToMeasure[], onResults: (results: readonly MeasuredRow[]) => void): Promise<void>;
  /** Resolves when the model is loaded. Rejects when it cannot be. */
  readonly ready: Promise<void>;
  /** Where the model runs and in which precision; undefined until it is loaded. */
  device(): string | undefined;
  stop(): Promise<void>;
}

export interface MeasureProcessOptions {
  /** A folder, or an id on the Hub. */
  readonly model: string;
  /** The model's name, for messages. */
  readonly name: string;
  /** The commit of a model on the Hub, where it is known. */
  readonly revision?: string | undefined;
  /** The most tokens of a row; the model's own limit counts too. */
  readonly maxLength: number;
  /** The file of a chat template in place of the model's own. */
  readonly chatTemplate?: string | undefined;
  /** The process's output goes here. */
  readonly log: string;
  readonly isOffline?: boolean | undefined;
  readonly onPhase?: ((phase: string) => void) | undefined;
}

const sumSchema = z.tuple([z.number().min(0), z.number().int().min(0)]);
const resultSchema = z.array(
  z.object({
    id: z.number().int(),
    cut: z.boolean(),
    answer: sumSchema.optional(),
    alone: sumSchema.optional(),
    problem: z.string().optional(),
  }),
);
const readySchema = z.object({ device: z.string(), dtype: z.string(), longest: z.number() });

/** Rows that were sent together. */
interface Block {
  readonly first: number;
  /** Ids of the rows that are still measured. */
  readonly waiting: Set<number>;
  readonly take: (results: readonly MeasuredRow[]) => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Starts the process, which loads the model. It ends when this one does, since its input then closes. */
export function startMeasuring(options: MeasureProcessOptions): MeasureProcess {
  const { model, name, revision = "-", maxLength, chatTemplate = "-", log, isOffline, onPhase } = options;
  findUv();
  makeFolder(dirname(log));
  let nextId = 0;
  let device: string | undefined;
  const blocks: Block[] = []; // in the order in which they are measured

  let isReady: () => void = () => {};
  const loaded = new Promise<void>((resolve) => (isReady = resolve));

  const fail = (why: string): void => {
    const error = new PythonError(`${log}: measuring with ${name}: expected results of the rows asked for, got ${why}`);
    for (const { reject } of blocks.splice(0)) reject(error);
    void group.stop();
  };
  const takeResults = (text: string): void => {
    const [block] = blocks;
    if (!block) return; // it has failed
    const results = resultSchema.safeParse(tryParse(text));
    if (!results.success) return fail(text.slice(0, 80));
    for (const { id } of results.data)
      if (!block.waiting.delete(id)) return fail(`one of row ${id - block.first + 1}, which was not asked for`);
    try {
      block.take(results.data.map((result) => ({ at: result.id - block.first, measured: toMeasured(result) })));
    } catch (error) {
      block.reject(error); // it could not be kept
    }
    if (block.waiting.size > 0) return;
    block.resolve();
    blocks.shift();
  };
  const readLine = (line: string): boolean | "data" => {
    const phase = readInstallPhase(line);
    if (phase !== undefined) onPhase?.(phase);
    if (line.startsWith("measured ")) {
      takeResults(line.slice("measured ".length));
      return "data";
    }
    if (!line.startsWith("ready ")) return false;
    const ready = readySchema.safeParse(tryParse(line.slice("ready ".length)));
    isReady();
    if (ready.success) device = `${ready.data.device}, ${ready.data.dtype}`;
    return true;
  };
  const args = [model, revision, String(maxLength), chatTemplate];
  const group = startGroup("uv", uvArguments(join(pythonFolder, "likelihood.py"), args), {
    env: { PYTHONDONTWRITEBYTECODE: "1", TOKENIZERS_PARALLELISM: "false", ...(isOffline && { HF_HUB_OFFLINE: "1" }) },
    log,
    onLine: readLine,
  });
  const ended = group.ended.then((code) => {
    const { message } = describeFailure(`${log}: measuring with ${name}`, code, group.said, commonAdvice);
    throw new PythonError(
      `${message.replace(/: $/, "")}; what was measured before is kept, and the same command goes on`,
    );
  });
  ended.catch((error: unknown) => {
    for (const { reject } of blocks.splice(0)) reject(error);
  });
  const ready = Promise.race([loaded, ended]);
  ready.catch(() => {}); // whoever waits is told

  return {
    ready,
    device: () => device,
    async measure(rows, take) {
      if (rows.length === 0) return;
      const first = nextId;
      nextId += rows.length;
      const measured = new Promise<void>((resolve, reject) => {
        blocks.push({ first, waiting: new Set(rows.map((_, at) => first + at)), take, resolve, reject });
      });
      measured.catch(() => {}); // the race below tells
      group.input.write(`${JSON.stringify(rows.map((row, at) => ({ id: first + at, ...row })))}\n`);
      await Promise.race([measured, ended]);
    },
    stop: () => group.stop(),
  };
}

function toMeasured({ cut, answer, alone, problem }: z.infer<typeof resultSchema>[number]): Measured {
  return problem === undefined ? { answer: toSum(answer), alone: toSum(alone), isCut: cut } : { problem };
}

function toSum(sum: readonly [number, number] | undefined): Likelihood["answer"] {
  return sum && { nll: sum[0], tokens: sum[1] };
}
