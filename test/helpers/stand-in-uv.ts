import { chmodSync } from "node:fs";
import type { TempFolder } from "./temp-folder.ts";

/**
 * A `uv` that installs nothing: in place of `transformers serve` it starts a server that speaks the same protocol, and
 * misbehaves as the variable STAND_IN tells: `dies at first`, `dies later`, `ignores TERM`.
 *
 * @returns the folder for the PATH
 */
export function writeStandInUv(folder: TempFolder): string {
  const path = folder.write(
    "bin/uv",
    `#!${process.execPath}
const { createServer } = require("node:http");
const args = process.argv.slice(2);
if (args.includes("--version")) { console.log("uv 0.0.0 (a stand-in)"); process.exit(0); }
const mode = process.env.STAND_IN ?? "";
if (mode === "ignores TERM") process.on("SIGTERM", () => {});
const model = args[args.indexOf("serve") + 1];
const port = Number(args[args.indexOf("--port") + 1]);
let asked = 0;
createServer(async (request, response) => {
  if (request.url === "/health") return response.end("{}");
  let text = "";
  for await (const chunk of request) text += chunk;
  const body = JSON.parse(text);
  if (body.model !== model) { response.statusCode = 400; return response.end('{"detail":"pinned to another model"}'); }
  asked++;
  if ((mode === "dies at first" && asked === 1) || (mode === "dies later" && asked === 4)) {
    console.error("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB");
    process.exit(1);
  }
  const content = "Answer to " + body.messages[0].content;
  setTimeout(() => response.setHeader("content-type", "application/json").end(JSON.stringify({
    id: "1", object: "chat.completion", created: 1, model,
    choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content } }],
    usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
  })), Number(process.env.STAND_IN_MS ?? 0));
}).listen(port, "127.0.0.1");
`,
  );
  chmodSync(path, 0o755);
  return `${folder.path}/bin`;
}
