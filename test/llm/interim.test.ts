import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createSender } from "../../src/llm/send-request.ts";

/* Replies that come after interim ones, which nobody asked for: a server that writes bytes as the path says. */

const reply = (body: string) =>
  `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
const more = "HTTP/1.1 100 Continue\r\n\r\n";
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

/** What is written, with a pause between. */
const scripts: Record<string, readonly string[]> = {
  none: [reply("fine")],
  together: [more + reply("fine")],
  apart: [more, reply("fine")],
  "split after the first line": ["HTTP/1.1 100 Continue\r\n", `\r\n${reply("fine")}`],
  "split in the number": ["HTTP/1.1 1", `00 Continue\r\n\r\n${reply("fine")}`],
  "split reply": ["HTT", reply("fine").slice(3)],
  "with headers": [`HTTP/1.1 100 Continue\r\nserver: x\r\n\r\n${reply("fine")}`],
  "line feeds alone": [`HTTP/1.1 100 Continue\n\n${reply("fine")}`],
  "no words": [`HTTP/1.1 100\r\n\r\n${reply("fine")}`],
  "HTTP/1.0": [`HTTP/1.0 100 Continue\r\n\r\n${reply("fine")}`],
  "several kinds": [
    `HTTP/1.1 102 Processing\r\n\r\n${more}HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${more}`,
    reply("fine"),
  ],
  "large headers": [`HTTP/1.1 200 OK\r\nx-trace: ${"a".repeat(60_000)}\r\ncontent-length: 4\r\n\r\nfine`],
  "the same words in a body": [
    `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunk("a")}${(more.length + 4).toString(16)}\r\n`,
    `${more}told\r\n`,
    "0\r\n\r\n",
  ],
};

let server: Server;
let origin = "";
const sockets = new Set<Socket>();

beforeAll(async () => {
  server = createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("data", async (bytes) => {
      const [, name = ""] = /^GET (?:http:\/\/gpu\.test)?\/(\S*)/.exec(String(bytes)) ?? []; // a proxy is asked for a whole address
      for (const part of scripts[decodeURIComponent(name)]!) {
        socket.write(part);
        await wait(30);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

const ways = ["directly", "through a proxy"];
test.each(Object.keys(scripts).flatMap((name) => ways.map((way) => [name, way])))("%s, %s", async (name, way) => {
  const [environment, place] = way === "directly" ? [{}, origin] : [{ HTTP_PROXY: origin }, "http://gpu.test"];
  const send = createSender(1, { environment });
  for (let times = 0; times < 2; times++) {
    const { status, bytes } = await send(`${place}/${encodeURIComponent(name)}`, {});
    expect([status, Buffer.from(bytes).toString()]).toEqual([
      200,
      name === "the same words in a body" ? `a${more}told` : "fine",
    ]);
  }
});
