import type { Socket } from "node:net";
import { buildConnector } from "undici";

/** A connection that does not come about in this time has failed. */
export const connectMs = 10_000;

type Connector = buildConnector.connector;

/** Connects as undici does, over HTTP/1.1. @param servername whose certificate is expected, in place of the asked host's */
export function createConnector(servername?: string): Connector {
  const connect = passingOverInterim(buildConnector({ timeout: connectMs, allowH2: false }));
  return servername === undefined ? connect : (options, done) => connect({ ...options, servername }, done);
}

/**
 * Its connections pass over interim replies that nobody asked for: some servers and gateways send `100 Continue` before every reply, and
 * undici takes it for a broken connection.
 */
export function passingOverInterim(connect: Connector): Connector {
  return (options, done) =>
    connect(options, (...result) => {
      if (result[1]) passOverInterim(result[1]);
      done(...result);
    });
}

const interim = /^HTTP\/1\.[01] 1(?!01)\d\d\b[^]*?\r?\n\r?\n/;
const beginning = "HTTP/1.1 1"; // of an interim reply, also of HTTP/1.0 but for one digit

/** Bytes that a reply of any kind begins with, up to the end of the headers of an interim one. */
const longestInterim = 16 * 1024;

function passOverInterim(socket: Socket): void {
  const read = socket.read.bind(socket) as (size?: number) => Buffer | null;
  const write = socket.write.bind(socket);
  let isAwaited = false; // whether the next bytes begin a reply
  let held: Buffer | undefined; // the beginning of what may be an interim reply
  socket.write = ((...sent: Parameters<Socket["write"]>) => {
    isAwaited = true;
    return write(...sent);
  }) as Socket["write"]; // the same overloads
  socket.read = (size) => {
    const bytes = read(size);
    if (!isAwaited || !bytes) return bytes;
    let begun = held ? Buffer.concat([held, bytes]) : bytes;
    held = undefined;
    while (mayBeInterim(begun)) {
      const [found] = interim.exec(begun.toString("latin1", 0, longestInterim)) ?? [];
      if (found === undefined && begun.length < longestInterim) {
        held = Buffer.from(begun);
        return null; // the rest comes later
      }
      if (found === undefined) break;
      begun = begun.subarray(found.length);
      if (begun.length === 0) return null;
    }
    isAwaited = false;
    return begun;
  };
}

function mayBeInterim(bytes: Buffer): boolean {
  const text = bytes.toString("latin1", 0, beginning.length + 2);
  if (text.length < beginning.length)
    return [beginning, beginning.replace("1.1", "1.0")].some((one) => one.startsWith(text));
  return /^HTTP\/1\.[01] 1/.test(text) && !/^.{9}101/.test(text);
}
