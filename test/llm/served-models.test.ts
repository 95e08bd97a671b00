import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { findServedModel } from "../../src/llm/served-models.ts";

test("a server that names its model after the key it was sent is refused, without the key", async () => {
  const key = "sk-live-0123456789abcdefXYZ";
  let names = (sent: string) => [sent];
  const server = createServer((request, response) => {
    const sent = (request.headers.authorization ?? "").replace("Bearer ", "");
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ data: names(sent).map((id) => ({ id })) }));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  const find = () => findServedModel(endpoint, { ALPAGASUS_API_KEY: key });
  await expect(find()).rejects.toThrow(/without the key in it, got \[key\]/);
  names = (sent) => [`a-${sent}`, "b"];
  await expect(find()).rejects.toThrow(/expected one model, got a-\[key\], b;/);
  names = () => ["x".repeat(300)];
  await expect(find()).rejects.toThrow(/of at most 200 characters/);
  names = () => ["one"];
  expect(await find()).toBe("one");
  server.close();
});
