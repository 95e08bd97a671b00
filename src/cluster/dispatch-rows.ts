import { setTimeout as delay } from "node:timers/promises";
import * as z from "zod";
import { messageOf, PythonError } from "../errors.ts";
import { tryParse } from "../files/try-parse.ts";
import { request } from "./request.ts";

/*
 * Sends rows to servers that measure them (`python/row_server.py`), a few at a time. Servers come and go: rows whose server was lost go to
 * another, and a row that takes every server with it has no result, and says so.
 */

export interface DispatchOptions<Result> {
  /** Addresses of the servers that are there. */
  readonly servers: () => readonly string[];
  /** The shape of a result beside its number. */
  readonly result: z.ZodType<Result>;
  /** The log and what is done, for messages: `.alpagasus/likelihood.log: measuring with smollm2`. */
  readonly what: string;
  /** What becomes of the results when it fails, for the message. */
  readonly afterFailure: string;
  readonly signal?: AbortSignal | undefined;
}

type Take<Result> = (results: readonly { readonly at: number; readonly result: Result }[]) => void;

export interface Dispatcher<Row, Result> {
  /** Looks at rows. `onResults` is called as soon as some are done, in any order. @throws the error it was stopped with */
  measure(rows: readonly Row[], onResults: Take<Result>): Promise<void>;
  /** Where the model runs and in which precision, once a server has told. */
  device(): string | undefined;
  /** Ends it: rows that are still looked at get the error. */
  stop(error: Error): void;
}

export const rowsAtATime = 32;
/** Of which a server has some, so that it never waits. */
export const lotsAtATime = 2;
const mostLosses = 3;
const mostLossesAlone = 2;
const mostSuspects = 4; // rows in a row that no server outlives: then it is no row's fault
const pollMs = 20;
const pauseMs = 2_000; // until a server that failed is asked again
const answerMs = 3_600_000;
const serverMs = 900_000; // without any server
const resultsSchema = z.object({
  results: z.array(z.looseObject({ id: z.number() })),
  device: z.object({ device: z.string(), dtype: z.string(), commit: z.string().nullish() }).nullish(),
});

/** Rows that are sent together. */
interface Lot<Row, Result> {
  readonly rows: readonly { readonly at: number; readonly row: Row }[];
  losses: number;
  /** Whether it may be what its servers were lost by: then it is alone on one. */
  readonly isSuspect: boolean;
  readonly take: Take<Result>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export function dispatchRows<Row extends object, Result>(options: DispatchOptions<Result>): Dispatcher<Row, Result> {
  const { what, afterFailure, signal } = options;
  const queue: Lot<Row, Result>[] = [];
  const working = new Set<Lot<Row, Result>>();
  const inFlight = new Map<string, Set<AbortController>>(); // lots, by the server's address
  const isExclusive = new Set<string>(); // servers that have a suspect
  const restsUntil = new Map<string, number>();
  let failure: Error | undefined;
  let device: string | undefined;
  let commit: string | undefined;
  let seenAt = Date.now(); // a server
  let unreachedSince: { readonly at: number; readonly why: string } | undefined;
  let suspectsLost = 0; // in a row

  const fail = (error: Error) => {
    failure ??= error;
    for (const { reject } of [...queue.splice(0), ...working]) reject(failure);
    working.clear();
  };
  const loadOf = (url: string) => inFlight.get(url)?.size ?? 0;

  /** Sends lots to servers as they have room, until it is stopped. */
  async function work(): Promise<void> {
    for (;;) {
      if (failure) return;
      const now = Date.now();
      const listed = new Set(options.servers());
      for (const [url, requests] of inFlight) if (!listed.has(url)) for (const one of requests) one.abort();
      const open = [...listed].filter((url) => !isExclusive.has(url) && (restsUntil.get(url) ?? 0) <= now);
      const free = open.filter((url) => loadOf(url) < lotsAtATime).toSorted((a, b) => loadOf(a) - loadOf(b))[0];
      const idle = open.find((url) => loadOf(url) === 0);
      const next = queue.findIndex(({ isSuspect }) => (isSuspect ? idle : free) !== undefined);
      if (next >= 0) {
        const [lot] = queue.splice(next, 1);
        void send(lot!, lot!.isSuspect ? idle! : free!);
        continue;
      }
      if (queue.length === 0 || listed.size > 0) seenAt = now;
      const minutes = serverMs / 60_000;
      if (now - seenAt > serverMs)
        fail(new PythonError(`${what}: no server was there for ${minutes} minutes; ${afterFailure}`));
      if (unreachedSince && now - unreachedSince.at > serverMs)
        fail(
          new PythonError(
            `${what}: no server was reached for ${minutes} minutes (${unreachedSince.why}); run the command on a machine of the cluster's network`,
          ),
        );
      await delay(pollMs);
    }
  }

  async function send(lot: Lot<Row, Result>, url: string): Promise<void> {
    const controller = new AbortController();
    const requests = inFlight.get(url) ?? new Set();
    inFlight.set(url, requests.add(controller));
    working.add(lot);
    if (lot.isSuspect) isExclusive.add(url);
    try {
      const { status, text } = await request(new URL("/rows", url).href, {
        method: "POST",
        body: JSON.stringify(lot.rows.map(({ row }, id) => ({ ...row, id }))),
        headers: { "content-type": "application/json" },
        signal: AbortSignal.any([controller.signal, AbortSignal.timeout(answerMs), ...(signal ? [signal] : [])]),
      });
      const answer = resultsSchema.safeParse(tryParse(text));
      if (status !== 200 || !answer.success || answer.data.results.length !== lot.rows.length)
        throw new Error(`status ${status}: ${text.slice(0, 200)}`);
      const { results, device: on } = answer.data;
      if (on) device = `${on.device}, ${on.dtype}`;
      const other = on?.commit ?? undefined;
      commit ??= other;
      if (other !== commit)
        throw new PythonError(
          `${what}: expected one commit of the model on all servers, got ${commit} and ${other}: it was changed on the Hub meanwhile; ${afterFailure}`,
        );
      const read = readResults(lot, results);
      if (!working.delete(lot)) return; // it was stopped meanwhile
      unreachedSince = undefined;
      suspectsLost = 0;
      take(lot, read);
    } catch (error) {
      if (failure) return; // it was rejected
      if (signal?.aborted) fail(new PythonError(messageOf(error)));
      else if (error instanceof PythonError) fail(error);
      else {
        working.delete(lot);
        if (!isUnreached(error)) unreachedSince = undefined;
        else unreachedSince ??= { at: Date.now(), why: messageOf(error) };
        restsUntil.set(url, Date.now() + pauseMs);
        lose(lot, isUnreached(error));
      }
    } finally {
      requests.delete(controller);
      if (lot.isSuspect) isExclusive.delete(url);
    }
  }

  /** @throws PythonError when they are not those of the rows asked for */
  function readResults(
    lot: Lot<Row, Result>,
    results: readonly { readonly id: number }[],
  ): { readonly at: number; readonly result: Result }[] {
    const parsed = z.array(options.result).safeParse(results);
    if (
      !parsed.success ||
      new Set(results.map(({ id }) => id)).size < results.length ||
      !results.every(({ id }) => lot.rows[id])
    )
      throw new PythonError(`${what}: expected results of the rows asked for, got others`);
    return parsed.data.map((result, i) => ({ at: lot.rows[results[i]!.id]!.at, result }));
  }

  function take(lot: Lot<Row, Result>, results: Parameters<Take<Result>>[0]): void {
    try {
      lot.take(results);
      lot.resolve();
    } catch (error) {
      lot.reject(error); // it could not be kept
    }
  }

  /** Another server gets the rows; after several losses each by itself and alone, to find the one that takes servers with it. */
  function lose(lot: Lot<Row, Result>, wasUnreached: boolean): void {
    if (!wasUnreached) lot.losses++;
    const most = lot.isSuspect ? mostLossesAlone : mostLosses;
    if (lot.losses < most) queue.unshift(lot);
    else if (lot.isSuspect && ++suspectsLost >= mostSuspects)
      lot.reject(
        new PythonError(
          `${what}: its servers are lost whatever row they measure; their last words are in the log; ${afterFailure}`,
        ),
      );
    else if (lot.isSuspect) {
      const problem = "its server was lost each time while this row was measured";
      take(lot, [{ at: lot.rows[0]!.at, result: options.result.parse({ cut: false, problem }) }]);
    } else {
      let left = lot.rows.length;
      const resolve = () => void (--left === 0 && lot.resolve());
      queue.push(...lot.rows.map((row) => ({ ...lot, rows: [row], losses: 0, isSuspect: true, resolve })));
    }
  }

  void work();
  return {
    device: () => device,
    stop: fail,
    async measure(rows, onResults) {
      if (failure) throw failure;
      const lots: Promise<void>[] = [];
      for (let from = 0; from < rows.length; from += rowsAtATime)
        lots.push(
          new Promise<void>((resolve, reject) => {
            const some = rows.slice(from, from + rowsAtATime).map((row, i) => ({ at: from + i, row }));
            queue.push({ rows: some, losses: 0, isSuspect: false, take: onResults, resolve, reject });
          }),
        );
      await Promise.all(lots);
    },
  };
}

/** Whether a server got nothing of a request. */
function isUnreached(error: unknown): boolean {
  const { code = "" } = error as NodeJS.ErrnoException; // what Node's client throws
  return ["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT"].includes(code);
}
