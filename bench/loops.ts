/*
 * Bare loops that only ask, for comparison: no store, no retries, no order. `node bench/loops.ts KIND ORIGIN PROMPTS IN_FLIGHT`
 * asks every prompt of a JSON array and prints the seconds it took.
 */
import { readFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { createOpenAI } from "@ai-sdk/openai";

const [kind, origin, path, inFlight] = process.argv.slice(2) as [string, string, string, string];
const prompts = JSON.parse(await readFile(path, "utf8")) as { system: string; user: string }[];
const url = `${origin}/v1/chat/completions`;
const agent = new Agent({ keepAlive: true, maxSockets: Number(inFlight) });
const model = createOpenAI({ baseURL: `${origin}/v1`, apiKey: "none" }).chat("m");

const body = ({ system, user }: { system: string; user: string }) =>
  JSON.stringify({
    model: "m",
    messages: [
      { role: "system", content: system },
      { role: "user", content: user },
    ],
    temperature: 0,
    max_tokens: 256,
  });

const ask: Record<string, (prompt: { system: string; user: string }) => Promise<unknown>> = {
  fetch: async (prompt) =>
    (await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: body(prompt) })).json(),
  http: (prompt) =>
    new Promise((resolve, reject) => {
      const text = body(prompt);
      const sent = request(
        url,
        {
          method: "POST",
          agent,
          headers: { "content-type": "application/json", "content-length": Buffer.byteLength(text) },
        },
        (response) => {
          let reply = "";
          response.setEncoding("utf8").on("data", (chunk: string) => (reply += chunk));
          response.on("end", () => resolve(JSON.parse(reply)));
        },
      );
      sent.on("error", reject).end(text);
    }),
  sdk: async ({ system, user }) =>
    model.doGenerate({
      prompt: [
        { role: "system", content: system },
        { role: "user", content: [{ type: "text", text: user }] },
      ],
      temperature: 0,
      maxOutputTokens: 256,
    }),
};

const startedAt = performance.now();
let next = 0;
await Promise.all(
  Array.from({ length: Number(inFlight) }, async () => {
    for (let prompt; (prompt = prompts[next++]);) await ask[kind]!(prompt);
  }),
);
console.log((performance.now() - startedAt) / 1000);
process.exit();
