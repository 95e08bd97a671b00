import { dirname, join } from "node:path";
import * as z from "zod";
import { PythonError } from "../errors.ts";
import { makeFolder } from "../files/make-folder.ts";
import { tryParse } from "../files/try-parse.ts";
import { commonAdvice, describeFailure } from "./failure.ts";
import { startGroup } from "./process-group.ts";
import { findUv, pythonFolder, readInstallPhase, uvRun, type Parts } from "./uv.ts";

/*
 * A Python process that looks at rows and keeps what it needs, such as a model, in memory. It reads blocks of rows, a JSON array a line,
 * each row with a number (`id`). It writes "ready " and what it runs on, and then, for some rows at a time and in any order, "measured " and
 * a JSON array of results, each with its row's number.
 */

export interface RowProcessOptions<Result> {
  /** The script's name in `python/`, and its arguments. */
  readonly script: string;
  readonly args: readonly string[];
  readonly parts?: Parts | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** What it does, for messages: `measuring with smollm2`. */
  readonly doing: string;
  /** The shape of a result beside its number. */
  readonly result: z.ZodType<Result>;
  /** The process's output goes here. */
  readonly log: string;
  /** What becomes of the results when it fails, for the message. */
  readonly afterFailure: string;
  readonly onPhase?: ((phase: string) => void) | undefined;
}

/** A result, and the position of its row among those that were given. */
interface RowResult<Result> {
  readonly at: number;
  readonly result: Result;
}

export interface RowProcess<Row, Result> {
  /** Looks at rows. `onResults` is called as soon as some are done, in any order. @throws PythonError when the process fails */
  measure(rows: readonly Row[], onResults: (results: readonly RowResult<Result>[]) => void): Promise<void>;
  /** Resolves when the process is ready for rows. Rejects when it cannot be. */
  readonly ready: Promise<void>;
  /** Where its model runs and in which precision; undefined until it is loaded, and where it has none. */
  device(): string | undefined;
  /** The commit of a model on the Hub, once it is loaded. */
  commit?(): string | undefined;
  stop(): Promise<void>;
}

const idSchema = z.array(z.looseObject({ id: z.number().int() }));
const readySchema = z.object({ device: z.string(), dtype: z.string() });

/** Rows that were sent together. */
interface Block<Result> {
  readonly first: number;
  /** Numbers of the rows that are still looked at. */
  readonly waiting: Set<number>;
  readonly take: (results: readonly RowResult<Result>[]) => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Starts the process. It ends when this one does, since its input then closes. */
export function startRowProcess<Row extends object, Result>(
  options: RowProcessOptions<Result>,
): RowProcess<Row, Result> {
  const { script, args, parts, env, doing, log, onPhase } = options;
  const resultsSchema = z.array(options.result);
  findUv();
  makeFolder(dirname(log));
  let nextId = 0;
  let device: string | undefined;
  const blocks: Block<Result>[] = []; // in the order in which they are looked at

  let isReady: () => void = () => {};
  const loaded = new Promise<void>((resolve) => (isReady = resolve));

  const fail = (why: string): void => {
    const error = new PythonError(`${log}: ${doing}: expected results of the rows asked for, got ${why}`);
    for (const { reject } of blocks.splice(0)) reject(error);
    void group.stop();
  };
  const takeResults = (text: string): void => {
    const [block] = blocks;
    if (!block) return; // it has failed
    const value = tryParse(text);
    const ids = idSchema.safeParse(value);
    const results = resultsSchema.safeParse(value);
    if (!ids.success || !results.success) return fail(text.slice(0, 80));
    for (const { id } of ids.data)
      if (!block.waiting.delete(id)) return fail(`one of row ${id - block.first + 1}, which was not asked for`);
    try {
      block.take(results.data.map((result, i) => ({ at: ids.data[i]!.id - block.first, result })));
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
  const group = startGroup("uv", uvRun(["python", join(pythonFolder, script), ...args], parts), {
    env: { PYTHONDONTWRITEBYTECODE: "1", ...env },
    log,
    onLine: readLine,
  });
  const ended = group.ended.then((code) => {
    const { message } = describeFailure(`${log}: ${doing}`, code, group.said, commonAdvice);
    throw new PythonError(`${message.replace(/: $/, "")}; ${options.afterFailure}`);
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
