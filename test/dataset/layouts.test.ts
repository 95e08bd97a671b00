import { zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { openDuckDb } from "../../src/dataset/duckdb.ts";
import { openDataset } from "../../src/dataset/open.ts";
import { alpagasus, prepare } from "../helpers/command-line.ts";
import { readExamples } from "../helpers/examples.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

const row = { instruction: "a", input: "", output: "b" };
const line = `${JSON.stringify(row)}\n`;

describe("text that is not JSON is called what it is", () => {
  test.each([
    ["version https://git-lfs.github.com/spec/v1\noid sha256:1\n", /Git LFS; fetch/],
    ["<!DOCTYPE html>\n<html></html>\n", /HTML or XML/],
    ["{'instruction': 'a', 'output': None}\n", /Python's own form/],
    ['{"instruction":"a","output":"b","weight":NaN}\n', /NaN or Infinity, which JSON does not have/],
    [`{\n  "instruction": "a",\n  "output": "b"\n}\n`, /an object over several lines/],
    [line.trim().repeat(2), /several objects; write one a line/],
    [`\x1e${line}`, /U\+001E/],
  ])("%j", async (text, message) => {
    using folder = tempFolder();
    await expect(readExamples(folder.write("data.jsonl", text))).rejects.toThrow(message);
  });

  test("rows inside an object are pointed to", async () => {
    using folder = tempFolder();
    await expect(openDataset(folder.write("data.json", { data: [row] }))).rejects.toThrow(
      /take them out \(jq '\.data' FILE\)/,
    );
  });
});

describe("numbers and texts stay what they are", () => {
  test("ids over 2^53 are told apart, in JSON and JSON Lines", async () => {
    using folder = tempFolder();
    const lines = ["9007199254740992", "9007199254740993"].map((id) => `{"id":${id},"instruction":"a","output":"b"}`);
    for (const path of [folder.write("x.jsonl", lines.join("\n")), folder.write("x.json", `[${lines.join(",")}]`)])
      expect((await readExamples(path)).map(({ id }) => id)).toEqual(["9007199254740992", "9007199254740993"]);
  });

  test("Parquet text without its mark is text, and bytes that are none stay", async () => {
    using folder = tempFolder();
    await using database = await openDuckDb();
    const select = "SELECT encode('caf\u00e9') AS instruction, encode('b') AS output, '\\xAA\\x00'::BLOB AS raw";
    await database.connection.run(`COPY (${select}) TO '${folder.path}/x.parquet'`);
    expect(await readExamples(`${folder.path}/x.parquet`)).toMatchObject([{ instruction: "caf\u00e9", output: "b" }]);
  });
});

describe("a folder", () => {
  test("with several splits asks which", async () => {
    using folder = tempFolder();
    for (const name of ["train", "test", "validation"]) folder.write(`data/${name}-00000-of-00001.jsonl`, line);
    await expect(openDataset(folder.path)).rejects.toThrow(
      new RegExp(
        `expected one split, found test, train, validation; name one of them, for example ${folder.path}/data/train`,
      ),
    );
    const named = await openDataset(`${folder.path}/data/train-*.jsonl`);
    expect(named.files).toHaveLength(1);
  });

  test.each(["part.jsonl.xz", "part.arrow", "part.zip", "part.tar"])(
    "with %s beside its data stops and names it",
    async (name) => {
      using folder = tempFolder();
      folder.write("a.jsonl", line);
      folder.write(name, "x");
      await expect(openDataset(folder.path)).rejects.toThrow(`found also ${name}`);
    },
  );

  test("is read without the registries beside its data", async () => {
    using folder = tempFolder();
    folder.write("a.json", [row]);
    for (const name of ["dataset_info.json", "dataset_infos.json", "state.json"]) folder.write(name, { a: 1 });
    expect(await readExamples(folder.path)).toHaveLength(1);
  });
});

test("zstd is read, and kept rows are written with it", async () => {
  using folder = tempFolder();
  folder.write("rows.jsonl.zst", zstdCompressSync(Buffer.from(line.repeat(50))));
  await prepare(folder.path, ["rate", "rows.jsonl.zst"], ["select", "--top", "10"]);
  const kept = `${folder.path}/runs/default/arms/selected.jsonl.zst`;
  expect((await readExamples(kept)).map(({ text }) => text)).toEqual(Array(10).fill(line.trim()));
  const where = await alpagasus(["select", "--where", "output_length > 0", "--arm", "all"], { cwd: folder.path });
  expect([where.code, where.stderr]).toEqual([0, ""]);
});
