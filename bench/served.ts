/*
 * A model server in a process of its own, so that it takes no time from what is measured. Started by `startServer`; tells
 * its address by a message, and what it saw when it is asked.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import {
  faulty,
  limitRequests,
  logNormal,
  startModelServer,
  type ModelServerOptions,
} from "../test/helpers/model-server.ts";

export interface ServedOptions {
  readonly latencyMs?: number;
  readonly logNormal?: { readonly medianMs: number; readonly sigma: number };
  /** How many calls it answers at once; others wait in its queue. */
  readonly slots?: number;
  readonly faults?: Parameters<typeof faulty>[0];
  readonly retryAfter?: string;
  readonly requestsPerMinute?: number;
  /** Whether its headers tell that limit. */
  readonly tells?: boolean;
}

export interface Seen {
  readonly requests: number;
  readonly refused: number;
  /** Different questions that were answered, and answers in all. */
  readonly questions: number;
  readonly answers: number;
  /** From the first request to the last, in seconds. */
  readonly seconds: number;
  readonly meanLatencyMs: number;
}

export interface Served {
  readonly origin: string;
  see(): Promise<Seen>;
  stop(): void;
}

export async function startServer(options: ServedOptions = {}): Promise<Served> {
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(options)]);
  const [origin] = (await once(child, "message")) as [string]; // its first message is its address
  return {
    origin,
    async see() {
      child.send("see");
      const [seen] = (await once(child, "message")) as [Seen]; // and every later one an answer
      return seen;
    },
    stop: () => child.disconnect(),
  };
}

if (process.send && process.argv[1] === fileURLToPath(import.meta.url)) {
  const options = JSON.parse(process.argv[2]!) as ServedOptions; // written by startServer
  const latencies: number[] = [];
  const draw = options.logNormal && logNormal(options.logNormal.medianMs, options.logNormal.sigma);
  const freeAt = Array.from({ length: options.slots ?? 0 }, () => 0); // of each slot
  const limit =
    options.requestsPerMinute === undefined
      ? undefined
      : limitRequests(options.requestsPerMinute, { tells: options.tells ?? false });
  const answer: ModelServerOptions["answer"] =
    limit?.answer ??
    (options.faults &&
      faulty(options.faults, options.retryAfter === undefined ? {} : { retryAfter: options.retryAfter }));
  const server = await startModelServer({
    latencyMs: () => {
      let latency = draw?.() ?? options.latencyMs ?? 0;
      if (freeAt.length > 0) {
        const slot = freeAt.indexOf(Math.min(...freeAt));
        const endsAt = Math.max(freeAt[slot]!, performance.now()) + latency;
        freeAt[slot] = endsAt;
        latency = endsAt - performance.now();
      }
      latencies.push(latency);
      return latency;
    },
    ...(answer && { answer }),
    ...(limit && { headers: limit.headers }),
  });
  process.on("message", () => {
    const { log, replied } = server;
    const seen: Seen = {
      requests: log.length,
      refused: log.filter(({ status }) => status === 429).length,
      questions: replied.size,
      answers: [...replied.values()].reduce((sum, count) => sum + count, 0),
      seconds: ((log.at(-1)?.at ?? 0) - (log[0]?.at ?? 0)) / 1000,
      meanLatencyMs: latencies.reduce((sum, latency) => sum + latency, 0) / Math.max(1, latencies.length),
    };
    process.send!(seen);
  });
  process.on("disconnect", () => process.exit());
  process.send(server.origin);
}
