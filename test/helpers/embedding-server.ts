import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** How a server answers a text: with its vector, with something in its place, or with a status. */
export type EmbeddingAnswer =
  | readonly number[]
  | { readonly as: unknown }
  | { readonly status: number; readonly message: string }
  | "hang";

export interface EmbeddingServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT/v1#test-embedding` */
  readonly model: string;
  readonly origin: string;
  /** Texts that got a whole reply, in order. */
  readonly replied: string[];
  /** How often each text was asked. */
  readonly asked: Map<string, number>;
  readonly authorizations: Set<string>;
}

/** A vector that depends on the text alone. */
export function vectorOf(text: string, dimensions = 8): number[] {
  const bytes = createHash("sha256").update(text).digest();
  return Array.from({ length: dimensions }, (_, i) => bytes[i]! / 128 - 1 + 1e-3);
}

/** A server on 127.0.0.1 with OpenAI's `/v1/embeddings`, which misbehaves as told. One token a character. */
export async function startEmbeddingServer({
  answer = (text) => vectorOf(text),
  latencyMs = 0,
  tokens: told,
}: {
  readonly answer?: (text: string, before: number) => EmbeddingAnswer;
  readonly latencyMs?: number;
  /** What it says that it read, in place of the truth. */
  readonly tokens?: number;
} = {}): Promise<EmbeddingServer> {
  const replied: string[] = [];
  const asked = new Map<string, number>();
  const authorizations = new Set<string>();
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (part: string) => (body += part));
    request.on("end", () => {
      const { input, model } = JSON.parse(body) as { input: string | string[]; model: string };
      authorizations.add(request.headers.authorization ?? "none");
      const texts = [input].flat();
      const answers = texts.map((text) => {
        const before = asked.get(text) ?? 0;
        asked.set(text, before + 1);
        return answer(text, before);
      });
      const send = (status: number, value: object) => {
        response.writeHead(status, { "content-type": "application/json" });
        response.end(JSON.stringify(value));
      };
      setTimeout(() => {
        if (answers.includes("hang")) return;
        const bad = answers.find((one) => typeof one === "object" && "status" in one);
        if (bad && "status" in bad) return send(bad.status, { error: { message: bad.message } });
        if (!request.url?.endsWith("/embeddings")) return send(404, { error: { message: "no such path" } });
        response.once("finish", () => replied.push(...texts));
        const tokens = told ?? texts.reduce((sum, text) => sum + text.length, 0);
        send(200, {
          object: "list",
          model,
          data: answers.map((one, index) => ({
            object: "embedding",
            index,
            embedding: typeof one === "object" && "as" in one ? one.as : one,
          })),
          usage: { prompt_tokens: tokens, total_tokens: tokens },
        });
      }, latencyMs);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    model: `${origin}/v1#test-embedding`,
    origin,
    replied,
    asked,
    authorizations,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
