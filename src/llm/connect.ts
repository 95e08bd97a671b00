import type { Socket } from "node:net";
import { buildConnector } from "undici";

const connectMs = 10_000;
const interim = Buffer.from("HTTP/1.1 100 ");
const headerEnd = "\r\n\r\n";

/**
 * Connects as undici does. Its connections pass over a `100 Continue` that nobody asked for: some servers and gateways send one before
 * every reply, and undici takes it for a broken connection.
 */
export function createConnector(): buildConnector.connector {
  const connect = buildConnector({ timeout: connectMs, allowH2: false });
  return (options, done) =>
    connect(options, (...result) => {
      if (result[1]) passOverContinue(result[1]);
      done(...result);
    });
}

function passOverContinue(socket: Socket): void {
  const read = socket.read.bind(socket) as (size?: number) => Buffer | null;
  socket.read = (size) => {
    let bytes = read(size);
    while (bytes && bytes[9] === interim[9] && bytes.subarray(0, interim.length).equals(interim)) {
      const end = bytes.indexOf(headerEnd);
      if (end < 0) break;
      const rest = bytes.subarray(end + headerEnd.length);
      bytes = rest.length > 0 ? rest : read(size);
    }
    return bytes;
  };
}
