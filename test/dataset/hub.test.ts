import { existsSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readExamples } from "../helpers/examples.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/*
 * A local server that speaks the part of the Hub's API that datasets need: dataset info, file tree, file content.
 */
const commit = "0123456789abcdef0123456789abcdef01234567";
const files: Record<string, string> = {
  "README.md": "# not data",
  "dataset_infos.json": "{}",
  "../../../../../../escaped.jsonl": "{}",
  "data/train-00000-of-00002.jsonl": '{"instruction":"a","output":"1"}\n',
  "data/train-00001-of-00002.jsonl": '{"instruction":"b","output":"2"}\n',
  "data/test-00000-of-00001.jsonl": '{"instruction":"c","output":"3"}\n',
};
const requests: string[] = [];
const server = createServer(answer);
let folder: TempFolder;
const previousFolder = process.cwd();

function answer(request: IncomingMessage, response: ServerResponse): void {
  const path = decodeURIComponent(new URL(request.url!, "http://hub").pathname);
  requests.push(`${request.method} ${path}`);
  const json = (value: unknown, status = 200) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
  const isPrivate = path.includes("owner/secret");
  if (isPrivate && request.headers.authorization !== "Bearer hf_letmein")
    return void json({ error: "Repository not found" }, 401);
  const repo = isPrivate ? "owner/secret" : "owner/set";
  if (path === `/api/datasets/${repo}/revision/main` || path === `/api/datasets/${repo}/revision/v1`)
    return void json({
      _id: "1",
      id: repo,
      sha: commit,
      private: isPrivate,
      gated: false,
      downloads: 0,
      likes: 0,
      lastModified: "2026-01-01T00:00:00.000Z",
    });
  if (path === `/api/datasets/${repo}/tree/${commit}`)
    return void json(
      Object.entries(files).map(([name, text]) => ({
        type: "file",
        oid: "1",
        size: Buffer.byteLength(text),
        path: name,
      })),
    );
  const resolved = `/datasets/${repo}/resolve/${commit}/`;
  const content = path.startsWith(resolved) ? files[path.slice(resolved.length)] : undefined;
  if (content === undefined) return void json({ error: "Repository not found" }, 404);
  const range = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "");
  const bytes = Buffer.from(content);
  const headers = { etag: '"1"', "accept-ranges": "bytes", "content-type": "text/plain" };
  if (!range) return void response.writeHead(200, { ...headers, "content-length": bytes.length }).end(bytes);
  const part = bytes.subarray(Number(range[1]), Number(range[2]) + 1);
  response
    .writeHead(206, {
      ...headers,
      "content-range": `bytes ${range[1]}-${Number(range[1]) + part.length - 1}/${bytes.length}`,
      "content-length": part.length,
    })
    .end(part);
}

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(() => new Promise((resolve) => server.close(resolve)));
beforeEach(() => {
  folder = tempFolder();
  process.chdir(folder.path);
  process.env["HF_ENDPOINT"] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  delete process.env["HF_TOKEN"];
  requests.length = 0;
});
afterEach(() => {
  process.chdir(previousFolder);
  delete process.env["HF_ENDPOINT"];
  folder[Symbol.dispose]();
});

const outputsOf = async (source: string) => (await readExamples(source)).map((example) => example.output);

describe("hf:owner/name", () => {
  it("of several configurations asks which, and then which split", async () => {
    const own = { ...files };
    try {
      for (const name of Object.keys(files)) delete files[name];
      for (const [i, configuration] of ["main", "socratic"].entries())
        for (const split of ["train", "test"])
          files[`${configuration}/${split}-00000-of-00001.jsonl`] =
            `{"instruction":"${configuration}","output":"${split}${i}"}\n`;
      await expect(readExamples("hf:owner/set")).rejects.toThrow(
        "hf:owner/set: expected one configuration, found main, socratic; name one of them, for example hf:owner/set:main",
      );
      await expect(readExamples("hf:owner/set:train")).rejects.toThrow(
        /found main, socratic; .*hf:owner\/set:train\/main/,
      );
      await expect(readExamples("hf:owner/set:main")).rejects.toThrow(
        /expected one split, found train, test; .*hf:owner\/set:main\/train/,
      );
      expect(await outputsOf("hf:owner/set:main/train")).toEqual(["train0"]);
      expect(await outputsOf("hf:owner/set:train/socratic")).toEqual(["train1"]);
    } finally {
      for (const name of Object.keys(files)) delete files[name];
      Object.assign(files, own);
    }
  });

  it("reads all data files of a dataset, and downloads each once", async () => {
    expect(await outputsOf("hf:owner/set:train")).toEqual(["1", "2"]);
    const downloads = () => requests.filter((request) => request.includes("/resolve/")).length;
    const first = downloads();
    expect(await outputsOf("hf:owner/set@v1:train")).toEqual(["1", "2"]);
    expect(downloads()).toBe(first);
  });

  it("writes nothing outside its own folder, whatever names the server gives", async () => {
    await outputsOf("hf:owner/set:train");
    expect(requests.filter((request) => request.includes("escaped"))).toEqual([]);
    expect(existsSync(`${folder.path}/escaped.jsonl`)).toBe(false);
    await expect(outputsOf("hf:../..")).rejects.toThrow("expected hf:owner/name");
  });

  it("reads one split, or one file", async () => {
    expect(await outputsOf("hf:owner/set:train")).toEqual(["1", "2"]);
    expect(await outputsOf("hf:owner/set@v1/data/test-00000-of-00001.jsonl")).toEqual(["3"]);
  });

  it("asks which split, before anything is downloaded", async () => {
    await expect(outputsOf("hf:owner/set")).rejects.toThrow(
      /expected one split, found .*; name one of them, for example hf:owner.set:train$/,
    );
    expect(requests.filter((request) => request.includes("/resolve/"))).toEqual([]);
  });

  it("opens private datasets with HF_TOKEN, and does not name it in an error", async () => {
    process.env["HF_TOKEN"] = "hf_letmein";
    expect(await outputsOf("hf:owner/secret:test")).toEqual(["3"]);
    process.env["HF_TOKEN"] = "hf_wrong";
    const error = (await outputsOf("hf:owner/secret").catch((caught: unknown) => caught)) as Error;
    expect(error.message).toBe("hf:owner/secret: the Hub refuses access; set HF_TOKEN to a token that may read it");
  });

  it.each([
    ["hf:owner/none", "hf:owner/none: the Hub has no dataset owner/none at revision main"],
    ["hf:owner/set@v9", "hf:owner/set@v9: the Hub has no dataset owner/set at revision v9"],
    [
      "hf:owner/set:validation",
      "hf:owner/set:validation: expected data files of validation, found none in revision main",
    ],
    ["hf:owner/set/none.json", "hf:owner/set/none.json: expected the file none.json, found none in revision main"],
    [
      "hf:owner",
      "hf:owner: expected hf:owner/name, optionally followed by @revision and by :split, :configuration/split or /file",
    ],
  ])("says what is wrong with %s", async (source, message) => {
    await expect(outputsOf(source)).rejects.toThrow(message);
  });

  it("says that the Hub cannot be reached", async () => {
    process.env["HF_ENDPOINT"] = "http://127.0.0.1:9";
    await expect(outputsOf("hf:owner/set")).rejects.toThrow(
      /^hf:owner\/set: the Hub cannot be reached or gives an invalid answer: /,
    );
  });
});
