import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { attemptCall } from "../../src/llm/attempt.ts";
import { openModel } from "../../src/llm/open-model.ts";
import type { ModelRequest } from "../../src/llm/request.ts";

/* Providers with OpenAI's protocol, and clouds by their packages, against a server of this machine. */

let server: Server;
let origin = "";
let status = 200;
const seen: { readonly url: string; readonly headers: IncomingHttpHeaders; readonly body: Record<string, unknown> }[] =
  [];

beforeAll(async () => {
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const body = JSON.parse(Buffer.concat(parts).toString()) as Record<string, unknown>;
      seen.push({ url: request.url!, headers: request.headers, body });
      const format = body["response_format"] as { type?: string } | undefined;
      response.setHeader("content-type", "application/json");
      if (format?.type === "json_schema" && request.url!.includes("noschema"))
        return void response
          .writeHead(400)
          .end(JSON.stringify({ error: { message: "This response_format type is unavailable now" } }));
      response.statusCode = status;
      if (status !== 200) return void response.end(JSON.stringify({ error: { message: "no" } }));
      if (request.url!.endsWith("/chat/completions") && body["model"] === "new-one")
        return void response.writeHead(404).end(
          JSON.stringify({
            error: { message: "This model is only supported in v1/responses and not in v1/chat/completions." },
          }),
        );
      if (request.url!.endsWith("/responses"))
        return void response.end(
          JSON.stringify({
            id: "resp_1",
            object: "response",
            created_at: 1,
            model: "m-1",
            status: "completed",
            output: [
              {
                type: "message",
                id: "msg_1",
                role: "assistant",
                status: "completed",
                content: [{ type: "output_text", text: "4\nfine", annotations: [] }],
              },
            ],
            usage: { input_tokens: 9, output_tokens: 3, total_tokens: 12 },
          }),
        );
      if (request.url!.endsWith("/converse"))
        return void response.end(
          JSON.stringify({
            output: { message: { role: "assistant", content: [{ text: "4\nfine" }] } },
            stopReason: "end_turn",
            usage: { inputTokens: 9, outputTokens: 3, totalTokens: 12 },
          }),
        );
      response.end(
        JSON.stringify({
          model: "m-1",
          system_fingerprint: "fp-7",
          choices: [{ message: { role: "assistant", content: "4\nfine" }, finish_reason: "stop" }],
          usage: { prompt_tokens: 9, completion_tokens: 3 },
        }),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());
beforeEach(() => {
  seen.length = 0;
  status = 200;
});

const request: ModelRequest = {
  messages: [{ role: "user", text: "Rate." }],
  sampling: { temperature: 0, maxOutputTokens: 50 },
};
const ask = async (name: string, environment: NodeJS.ProcessEnv, more: object = {}) => {
  const model = await openModel(name, { environment, ...more });
  return { model, attempt: await attemptCall(model, request, 5_000) };
};

describe("providers with OpenAI's protocol", () => {
  test.each([
    ["openrouter:vendor/m", "OPENROUTER_API_KEY", "OPENROUTER_BASE_URL", "/api/v1", "authorization", "Bearer k-1"],
    ["mistral:m", "MISTRAL_API_KEY", "MISTRAL_BASE_URL", "/v1", "authorization", "Bearer k-1"],
    ["groq:m", "GROQ_API_KEY", "GROQ_BASE_URL", "/openai/v1", "authorization", "Bearer k-1"],
    ["deepseek:m", "DEEPSEEK_API_KEY", "DEEPSEEK_BASE_URL", "/v1", "authorization", "Bearer k-1"],
    ["azure:my-deployment", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "/openai/v1", "api-key", "k-1"],
  ])("%s", async (name, key, address, path, header, sent) => {
    const { attempt } = await ask(name, { [key]: "k-1", [address]: `${origin}/` });
    expect(attempt).toMatchObject({ reply: { text: "4\nfine", build: "m-1 fp-7", usage: { inputTokens: 9 } } });
    expect(seen).toHaveLength(1);
    expect(seen[0]!.url).toBe(`${path}/chat/completions`);
    expect(seen[0]!.headers[header]).toBe(sent);
    expect(seen[0]!.body["model"]).toBe(name.slice(name.indexOf(":") + 1));
    expect((await openModel(name, { environment: { [address]: origin } })).problem).toContain(key);
  });

  test("prices are the provider's own", async () => {
    for (const name of ["openrouter:openai/gpt-4o-mini", "groq:llama-3.3-70b-versatile", "deepseek:deepseek-chat"])
      expect((await openModel(name, { environment: {} })).price?.inputUsdPerMillion).toBeGreaterThan(0);
  });

  test("an address of one's own is said, and Azure's is needed", async () => {
    const { model } = await ask("mistral:m", { MISTRAL_API_KEY: "k", MISTRAL_BASE_URL: origin });
    expect(model.notes?.()).toEqual([
      `asked, with its key, at ${origin}/v1 (MISTRAL_BASE_URL), which is not the provider's own address`,
    ]);
    await expect(openModel("azure:m", { environment: {} })).rejects.toThrow(/AZURE_OPENAI_ENDPOINT/);
  });

  test("a refused JSON schema is asked for as plain JSON, and said", async () => {
    const model = await openModel("deepseek:m", {
      environment: { DEEPSEEK_API_KEY: "k", DEEPSEEK_BASE_URL: `${origin}/noschema` },
    });
    const asked = { ...request, replySchema: { name: "r", schema: { type: "object" as const } } };
    for (let i = 0; i < 2; i++) expect(await attemptCall(model, asked, 5_000)).toHaveProperty("reply");
    expect(seen.map(({ body }) => (body["response_format"] as { type: string }).type)).toEqual([
      "json_schema",
      "json_object",
      "json_object",
    ]);
    expect(model.notes?.().join()).toContain("without a schema");
  });
});

describe("OpenAI's models that have only the Responses API", () => {
  test.each([
    ["o3-pro", ["/v1/responses"]],
    ["gpt-5.2-codex", ["/v1/responses"]],
    ["new-one", ["/v1/chat/completions", "/v1/responses"]],
  ])("%s", async (name, paths) => {
    const model = await openModel(`openai:${name}`, {
      environment: { OPENAI_API_KEY: "k", OPENAI_BASE_URL: `${origin}/v1` },
    });
    const replies = [await attemptCall(model, request, 5_000), await attemptCall(model, request, 5_000)];
    for (const reply of replies) expect(reply).toMatchObject({ reply: { text: "4\nfine", usage: { inputTokens: 9 } } });
    expect(seen.map(({ url }) => url)).toEqual([...paths, "/v1/responses"]);
    expect(seen.at(-1)!.body).toMatchObject({ model: name, store: false });
  });
});

test("a request that is quoted, or an API that is not there, sends no model to the Responses API", async () => {
  const quoted = "invalid input: why is this model only supported in v1/responses?";
  const refusal = "This model is only supported in v1/responses and not in v1/chat/completions.";
  const asked: string[] = [];
  const other = createServer((incoming, response) => {
    asked.push(incoming.url!);
    const message = asked.length === 1 ? quoted : refusal;
    const body = incoming.url!.endsWith("/responses")
      ? { error: { message: "not found" } }
      : asked.length === 2
        ? { choices: [{ index: 0, message: { role: "assistant", content: "4" }, finish_reason: "stop" }], id: "c" }
        : { error: { message } };
    incoming.resume().on("end", () => {
      response.writeHead("choices" in body ? 200 : 404, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const at = `http://127.0.0.1:${(other.address() as AddressInfo).port}/v1`;
  const environment = { OPENAI_API_KEY: "k", OPENAI_BASE_URL: at };
  const model = await openModel("openai:some", { environment });
  const known = [];
  for (let i = 0; i < 3; i++) known.push(await attemptCall(model, request, 5_000));
  expect(known[0]).toMatchObject({ kind: "stop", detail: expect.stringContaining(quoted) as string });
  expect(known[1]).toMatchObject({ reply: { text: "4" } });
  expect(known[2]).toMatchObject({ kind: "stop" }); // it has answered by chat completions
  const unknown = await openModel("openai:other", { environment });
  expect(await attemptCall(unknown, request, 5_000)).toMatchObject({
    kind: "stop",
    detail: expect.stringContaining("only supported in v1/responses") as string,
  });
  expect(asked.map((url) => url.replace("/v1/", ""))).toEqual([
    "chat/completions",
    "chat/completions",
    "chat/completions",
    "chat/completions",
    "responses",
  ]);
  other.close();
});

describe("clouds whose client is a package", () => {
  test("Bedrock is asked at its region's address, signed", async () => {
    const environment = {
      AWS_REGION: "eu-west-1",
      AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
      AWS_SECRET_ACCESS_KEY: "secret",
      AWS_ENDPOINT_URL_BEDROCK_RUNTIME: origin,
    };
    const { model, attempt } = await ask("bedrock:amazon.nova-lite-v1:0", environment);
    expect(attempt).toMatchObject({ reply: { text: "4\nfine", usage: { inputTokens: 9, outputTokens: 3 } } });
    expect(seen[0]!.headers.authorization).toContain("/eu-west-1/bedrock/aws4_request");
    expect(model.notes?.().join()).toContain("AWS_ENDPOINT_URL_BEDROCK_RUNTIME");
    expect(model.problem).toBeUndefined();
    expect(model.redact("secret key")).toBe("[key] key");
    expect((await openModel("bedrock:m", { environment: {} })).problem).toContain("AWS_REGION or AWS_DEFAULT_REGION");
  });

  test("Vertex needs a project and a location", async () => {
    expect((await openModel("vertex:gemini-2.5-flash", { environment: {} })).problem).toContain(
      "GOOGLE_VERTEX_PROJECT",
    );
  });
});

describe("a key belongs to a host", () => {
  const name = () => `${origin}/v1#m`;
  const keyVariable = () => `ALPAGASUS_API_KEY_${new URL(origin).host.toUpperCase().replace(/[^A-Z0-9]+/g, "_")}`;

  test("the host's own comes before the one for every server", async () => {
    await ask(name(), { ALPAGASUS_API_KEY: "general", [keyVariable()]: "own" });
    await ask(name(), { ALPAGASUS_API_KEY: "general", ALPAGASUS_API_KEY_127_0_0_1: "host" });
    await ask(name(), { ALPAGASUS_API_KEY: "general", ALPAGASUS_API_KEY_OTHER: "other" });
    expect(seen.map(({ headers }) => headers.authorization)).toEqual(["Bearer own", "Bearer host", "Bearer general"]);
  });

  test("a recipe's server elsewhere does not get the one for every server, and a refusal says so", async () => {
    const model = await openModel("http://elsewhere.example:81/v1#m", {
      environment: { ALPAGASUS_API_KEY: "general" },
      isFromRecipe: true,
    });
    expect(model.keyAdvice).toContain("ALPAGASUS_API_KEY_ELSEWHERE_EXAMPLE");
    await ask(name(), { ALPAGASUS_API_KEY: "general" }, { isFromRecipe: true });
    expect(seen[0]!.headers.authorization).toBe("Bearer general"); // on this machine
    const similar = { ALPAGASUS_API_KEY_GPU_EXAMPLE_ORG: "own" };
    const other = await openModel("http://gpu-example.org/v1#m", { environment: similar, isFromRecipe: true });
    expect(other.keyAdvice).toBeUndefined(); // no key of another host is its key
    const open = { isFromRecipe: true, environment: { ALPAGASUS_API_KEY_GPU_EXAMPLE_ORG: "own-key-of-the-host" } };
    expect((await openModel("https://gpu.example.org/v1#m", open)).keyAdvice).toBeUndefined();
    expect((await openModel("http://gpu.example.org/v1#m", open)).keyAdvice).toContain("_GPU_EXAMPLE_ORG_80"); // others could read it
    const typed = await openModel("http://gpu.example.org:8000/v1#m", { ...open, isFromRecipe: false });
    expect([typed.keyAdvice, typed.notes?.()]).toEqual([undefined, [expect.stringContaining("without encryption")]]);
    for (const host of ["192.168.1.5", "gpu1", "[fd00::1]", "vllm.models.svc.cluster.local"]) {
      const near = await openModel(`http://${host}/v1#m`, { environment: { ALPAGASUS_API_KEY: "general" } });
      expect(near.notes?.()).toEqual([]);
    }
    status = 401;
    const { attempt } = await ask(name(), {});
    expect(attempt).toMatchObject({ kind: "stop", isUsage: true });
  });
});
