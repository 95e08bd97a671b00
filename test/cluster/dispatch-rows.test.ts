import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { afterEach, describe, expect, test } from "vitest";
import * as z from "zod";
import { dispatchRows } from "../../src/cluster/dispatch-rows.ts";
import { freePort } from "../helpers/free-port.ts";

interface SentRow {
  readonly id: number;
  readonly text: string;
}

const running: Server[] = [];
afterEach(() => {
  for (const server of running.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

/** A server that measures how long texts are. One that has to measure "bad" breaks off, as one does that is killed. */
async function startServer(seen: string[][], hangs = false): Promise<string> {
  const server = createServer(async (asked, answer) => {
    const rows = (await json(asked)) as SentRow[];
    seen.push(rows.map(({ text }) => text));
    if (hangs) return;
    if (rows.some(({ text }) => text === "bad")) {
      asked.socket.destroy();
      return;
    }
    if (rows.some(({ text }) => text === "twice")) {
      answer.end(JSON.stringify({ results: rows.map(() => ({ id: 0, length: 1 })) }));
      return;
    }
    const results = rows.map(({ id, text }) => ({ id, length: text.length })).toReversed();
    answer.end(JSON.stringify({ results, device: { device: "cpu", dtype: "float32" } }));
  });
  running.push(server.listen(0, "127.0.0.1"));
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`; // it listens on a port
}

const result = z.object({ length: z.number().optional(), problem: z.string().optional() });

function open(servers: () => readonly string[]) {
  return dispatchRows<{ text: string }, z.infer<typeof result>>({
    servers,
    result,
    what: "test.log: measuring",
    afterFailure: "run it again",
  });
}

async function measure(dispatcher: ReturnType<typeof open>, texts: readonly string[]) {
  const found: z.infer<typeof result>[][] = texts.map(() => []);
  await dispatcher.measure(
    texts.map((text) => ({ text })),
    (results) => {
      for (const { at, result: one } of results) found[at]!.push(one);
    },
  );
  return found;
}

const texts = Array.from({ length: 300 }, (_, i) => "x".repeat(i + 1));

describe("rows that are sent to servers", () => {
  test("each gets one result, whichever server measured it", async () => {
    const seen: string[][][] = [[], []];
    const servers = await Promise.all(seen.map((one) => startServer(one)));
    const dispatcher = open(() => servers);
    expect(await measure(dispatcher, texts)).toEqual(texts.map(({ length }) => [{ length }]));
    expect(seen.every(({ length }) => length > 0)).toBe(true);
    expect(dispatcher.device()).toBe("cpu, float32");
    dispatcher.stop(new Error("done"));
  });

  test("one that takes every server with it has no result, and says so; those beside it are measured", async () => {
    const seen: string[][] = [];
    const servers = [await startServer(seen), await startServer(seen)];
    const dispatcher = open(() => servers);
    const asked = [...texts.slice(0, 40), "bad", ...texts.slice(40, 80)];
    const found = await measure(dispatcher, asked);
    expect(found[40]).toEqual([{ problem: expect.stringContaining("its server was lost each time") }]);
    expect(found.toSpliced(40, 1)).toEqual(asked.toSpliced(40, 1).map(({ length }) => [{ length }]));
    dispatcher.stop(new Error("done"));
  });

  test("those of a server that is listed no more go to another, though it never broke off", async () => {
    const seen: string[][] = [];
    const lost: string[][] = [];
    let servers = [await startServer(lost, true)];
    const dispatcher = open(() => servers);
    const measuring = measure(dispatcher, texts.slice(0, 64));
    await expect.poll(() => lost.length).toBe(2);
    servers = [await startServer(seen)];
    expect(await measuring).toEqual(texts.slice(0, 64).map(({ length }) => [{ length }]));
    dispatcher.stop(new Error("done"));
  });

  test("a server that is not reached counts against no row", async () => {
    let servers = [`http://127.0.0.1:${await freePort()}/v1`];
    const dispatcher = open(() => servers);
    const measuring = measure(dispatcher, ["one"]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    servers = [await startServer([])];
    expect(await measuring).toEqual([[{ length: 3 }]]);
    dispatcher.stop(new Error("done"));
  });

  test("results of other rows stop it, and are told of", async () => {
    const servers = [await startServer([])];
    await expect(
      measure(
        open(() => servers),
        ["twice", "twice"],
      ),
    ).rejects.toThrow("test.log: measuring: expected results of the rows asked for, got others");
  });

  test("when it is stopped, whoever waits is told why", async () => {
    const dispatcher = open(() => []);
    const measuring = measure(dispatcher, ["one"]);
    dispatcher.stop(new Error("the job has ended"));
    await expect(measuring).rejects.toThrow("the job has ended");
    await expect(measure(dispatcher, ["two"])).rejects.toThrow("the job has ended");
  });
});
