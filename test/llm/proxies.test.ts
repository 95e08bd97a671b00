import { createServer, request as forward, type Server } from "node:http";
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createSecureServer } from "node:http2";
import { connect, type AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readFailure } from "../../src/llm/failure.ts";
import { openModel } from "../../src/llm/open-model.ts";
import { proxyFor, readProxies } from "../../src/llm/proxies.ts";
import { alpagasus } from "../helpers/command-line.ts";
import { rateRows } from "../helpers/rating.ts";
import { tempFolder } from "../helpers/temp-folder.ts";
import { createSender } from "../../src/llm/send-request.ts";

/* A server, and a proxy that forwards to it or refuses, both on 127.0.0.1. */

let server: Server;
let proxy: Server;
let refusal = 0;
const through: string[] = [];
const headersSeen: Record<string, unknown>[] = [];
const asked: (string | undefined)[] = [];
const originOf = (of: Server) => `http://127.0.0.1:${(of.address() as AddressInfo).port}`;

beforeAll(async () => {
  server = createServer((request, response) => {
    headersSeen.push(request.headers);
    asked.push(request.url);
    response.setHeader("content-type", "application/json");
    response.end(
      JSON.stringify({
        model: "m",
        choices: [{ message: { content: request.url }, finish_reason: "stop" }],
        usage: { prompt_tokens: 1, completion_tokens: 1 },
      }),
    );
  });
  proxy = createServer((request, response) => {
    through.push(request.url!);
    if (refusal > 0) return void response.writeHead(refusal).end("no");
    request.pipe(
      forward(request.url!, { method: request.method, headers: request.headers }, (answer) => {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(response);
      }),
    );
  });
  proxy.on("connect", ({ url = "" }, socket) => {
    through.push(url);
    if (refusal > 0) return void socket.end(`HTTP/1.1 ${refusal} No\r\n\r\n`);
    const [host, port] = url.split(":");
    const upstream = connect(Number(port), host, () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      upstream.pipe(socket).pipe(upstream);
    });
    for (const end of [socket, upstream]) end.on("error", () => {});
  });
  for (const one of [server, proxy]) await new Promise<void>((resolve) => one.listen(0, "127.0.0.1", resolve));
});
afterAll(() => {
  server.close();
  proxy.close();
});

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0; // makes a certificate for this machine
const send = (environment: NodeJS.ProcessEnv) => createSender(1, { environment })(`${originOf(server)}/v1/x`, {});

describe("a proxy", () => {
  test.each([
    ["an address", () => ({ HTTP_PROXY: originOf(proxy) })],
    ["host:port", () => ({ http_proxy: originOf(proxy).slice("http://".length) })],
    ["for everything", () => ({ ALL_PROXY: originOf(proxy), http_proxy: "" })],
  ])("is used as %s", async (_, environment) => {
    through.length = 0;
    refusal = 0;
    expect(await send(environment())).toMatchObject({ status: 200 });
    expect(through).toHaveLength(1);
  });

  test.each([{ HTTP_PROXY: "" }, { HTTP_PROXY: "http://127.0.0.1:1", NO_PROXY: "127.0.0.1" }])(
    "is not used: %o",
    async (environment) => {
      expect(await send(environment)).toMatchObject({ status: 200 });
    },
  );

  test("that refuses is named, and stops", async () => {
    refusal = 407;
    const shown = `${originOf(proxy)} (HTTPS_PROXY)`;
    const error: unknown = await createSender(1, { environment: { HTTPS_PROXY: originOf(proxy) } })(
      "https://127.0.0.1:1/v1",
      {},
    ).catch((thrown: unknown) => thrown);
    expect(readFailure(error, 0)).toMatchObject({
      kind: "stop",
      isUsage: true,
      detail: expect.stringContaining(`the proxy ${shown} refused it (407)`) as string,
    });
  });

  test("that refuses a request to an http: server is named, and nothing counts as paid", async () => {
    refusal = 407;
    const error: unknown = await send({ HTTP_PROXY: originOf(proxy) }).catch((thrown: unknown) => thrown);
    expect(readFailure(error, 0)).toMatchObject({
      kind: "stop",
      isUsage: true,
      detail: expect.stringContaining(`the proxy ${originOf(proxy)} (HTTP_PROXY) refused it (407)`) as string,
    });
  });

  test("of http: is told its name and password, is not used for https:, and gives them to no reader of a run", async () => {
    refusal = 0;
    through.length = 0;
    headersSeen.length = 0;
    const address = originOf(proxy).replace("://", "://alice:Tr0ub4dor-and-3-horses@");
    await send({ HTTP_PROXY: address });
    const sent = `Basic ${Buffer.from("alice:Tr0ub4dor-and-3-horses").toString("base64")}`;
    expect(headersSeen[0]).toMatchObject({ "proxy-authorization": sent }); // this proxy passes all on
    const direct: unknown = await createSender(1, { environment: { HTTP_PROXY: address } })(
      "https://127.0.0.1:1/",
      {},
    ).catch((thrown: unknown) => thrown);
    expect(readFailure(direct, 0).detail).not.toContain("proxy");
    expect(through).toHaveLength(1);
    const models = ["http://gpu.test/v1#m", "openai:m", "anthropic:m", "google:m"].map((name) =>
      openModel(name, { environment: { OPENAI_API_KEY: "sk-k", HTTPS_PROXY: address, HTTP_PROXY: address } }),
    );
    for (const model of await Promise.all(models))
      expect(model.redact(`refused ${sent} of alice:Tr0ub4dor-and-3-horses`)).not.toMatch(/Tr0ub4dor|VHIwdWI0ZG9y/);
  });

  test("is used for https: by the command line as it is shipped", async () => {
    refusal = 407;
    through.length = 0;
    using folder = tempFolder();
    folder.write("rows.json", [{ instruction: "a", output: "b" }]);
    const { code, stdout, stderr } = await alpagasus(rateRows("https://gpu.test/v1#m"), {
      cwd: folder.path,
      env: { HTTPS_PROXY: originOf(proxy) },
    });
    expect([code, stdout + stderr]).toEqual([2, expect.stringContaining("(HTTPS_PROXY) refused it (407)")]);
    expect(through).toEqual(["gpu.test:443"]);
  });

  test("that ends a tunnel before it stands was not asked for anything, and nothing counts as paid", async () => {
    const closing = createServer().on("connect", (_, socket) => void socket.destroy());
    await new Promise<void>((resolve) => closing.listen(0, "127.0.0.1", resolve));
    const error: unknown = await createSender(1, { environment: { HTTPS_PROXY: originOf(closing) } })(
      "https://127.0.0.1:1/v1",
      {},
    ).catch((thrown: unknown) => thrown);
    expect(readFailure(error, 0)).toMatchObject({ kind: "retry", isUnreachable: true, mayBePaid: false });
    closing.close();
  });

  test.skipIf(!hasOpenssl)(
    "by https:, and a tunnel to an https: server, are known by their own certificates",
    async () => {
      refusal = 0;
      using folder = tempFolder();
      const made = ["-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2"];
      const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
      execFileSync("openssl", ["req", "-x509", ...made, ...names], { cwd: folder.path, stdio: "ignore" });
      const [key, cert] = ["key.pem", "cert.pem"].map((name) => readFileSync(`${folder.path}/${name}`));
      const asks: string[] = [];
      const reply = {
        choices: [{ message: { content: "4\nfine" }, finish_reason: "stop" }],
        usage: { prompt_tokens: 9, completion_tokens: 3 },
      };
      const secure = createSecureServer({ key, cert, allowHTTP1: true }, (request, response) => {
        asks.push(`${request.headers.host} ${request.url}`);
        request.resume().on("end", () => {
          response.setHeader("content-type", "application/json");
          response.end(JSON.stringify(reply));
        });
      });
      await new Promise<void>((resolve) => secure.listen(0, "127.0.0.1", resolve));
      const at = `https://localhost:${(secure.address() as AddressInfo).port}`;
      folder.write("rows.json", [{ instruction: "a", output: "b" }]);
      for (const [judge, variables] of [
        ["http://gpu.test/v1#m", { HTTP_PROXY: at }],
        [`${at}/v1#m`, { HTTPS_PROXY: originOf(proxy) }],
      ] as const) {
        const env = { ...variables, NODE_EXTRA_CA_CERTS: `${folder.path}/cert.pem` };
        const { code, stdout } = await alpagasus(rateRows(judge, "--run", `runs/${asks.length}`), {
          cwd: folder.path,
          env,
        });
        expect([code, stdout]).toEqual([0, expect.stringContaining("1 scored")]);
      }
      expect(asks).toEqual([
        "gpu.test http://gpu.test/v1/chat/completions",
        `${at.slice("https://".length)} /v1/chat/completions`,
      ]);
      secure.close();
    },
  );

  test("that is not there is named", async () => {
    const error: unknown = await send({ HTTP_PROXY: "http://me:secret@127.0.0.1:1" }).catch(
      (thrown: unknown) => thrown,
    );
    const failure = readFailure(error, 0);
    expect(failure).toMatchObject({ kind: "retry", isUnreachable: true });
    expect(failure.detail).toContain("through the proxy http://127.0.0.1:1 (HTTP_PROXY)");
    expect(failure.detail).not.toContain("secret");
  });

  test.each(["socks5://127.0.0.1:1", "http://", "ht tp://x"])("that cannot be one is refused: %s", (address) => {
    expect(() => readProxies({ HTTPS_PROXY: address })).toThrow(/^HTTPS_PROXY: expected the address of an HTTP proxy/);
  });

  test.each([
    ["http://u:50%@127.0.0.1:1", /with % written as %25/],
    ["http://127.0.0.1:1/path", /without a path/],
    ["http://127.0.0.1:1/?x=hidden", /without a path/],
  ])("whose address has too much in it is refused: %s", (address, message) => {
    expect(() => readProxies({ HTTP_PROXY: address })).toThrow(message);
    expect(() => readProxies({ HTTP_PROXY: address })).not.toThrow(/50%|hidden/);
  });

  test("is passed by for the hosts of NO_PROXY", () => {
    const proxies = readProxies({ http_proxy: "p:1", no_proxy: "a.example, .b.example,c.example:81" });
    const isUsed = (host: string) => proxyFor(`http://${host}/`, proxies) !== undefined;
    expect(["a.example", "x.a.example", "b.example", "x.b.example", "c.example:81"].map(isUsed)).toEqual(
      Array(5).fill(false),
    );
    expect(["aa.example", "c.example", "c.example:82"].map(isUsed)).toEqual([true, true, true]);
  });
});

describe("an environment of a provider", () => {
  const call = async (name: string, environment: NodeJS.ProcessEnv) =>
    (await openModel(name, { environment })).language
      .doGenerate({ prompt: [{ role: "user", content: [{ type: "text", text: "x" }] }] })
      .then(
        ({ content }) => JSON.stringify(content),
        (error: unknown) => String(error),
      );

  test("an address without a path gets the path of the API", async () => {
    asked.length = 0;
    for (const path of ["", "/", "/x"])
      await call("openai:m", { OPENAI_API_KEY: "k", OPENAI_BASE_URL: `${originOf(server)}${path}` });
    await call("anthropic:m", { ANTHROPIC_API_KEY: "k", ANTHROPIC_BASE_URL: originOf(server) });
    expect(asked).toEqual(["/v1/chat/completions", "/v1/chat/completions", "/x/chat/completions", "/v1/messages"]);
  });

  test("the organisation and the project are sent, and empty variables are unset ones", async () => {
    headersSeen.length = 0;
    const base = { OPENAI_API_KEY: "k", OPENAI_BASE_URL: originOf(server) };
    await call("openai:m", { ...base, OPENAI_ORG_ID: "org-1", OPENAI_PROJECT_ID: "proj-1" });
    await call("openai:m", { ...base, OPENAI_ORG_ID: "", OPENAI_PROJECT_ID: " " });
    expect(headersSeen).toMatchObject([{ "openai-organization": "org-1", "openai-project": "proj-1" }, {}]);
    expect(headersSeen[1]).not.toHaveProperty("openai-organization");
    expect((await openModel("openai:m", { environment: { OPENAI_API_KEY: "  " } })).problem).toContain("got none");
  });
});
