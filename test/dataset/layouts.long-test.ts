import { cpSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { openDuckDb } from "../../src/dataset/duckdb.ts";
import { openDataset } from "../../src/dataset/open.ts";
import { messageOf } from "../../src/errors.ts";
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
  ])("%j", async (text, message) => {
    using folder = tempFolder();
    await expect(readExamples(folder.write("data.jsonl", text))).rejects.toThrow(message);
  });
});

describe("one object around the rows", () => {
  const rows = [row, { ...row, instruction: "c" }];

  test("is left out of arms, which say so", async () => {
    using folder = tempFolder();
    folder.write("data.json", JSON.stringify({ version: "1", data: rows, licence: "MIT" }));
    await prepare(folder.path, ["rate", "data.json"], ["select", "--where", "instruction = 'c'"]);
    const run = `${folder.path}/runs/default`;
    expect(JSON.parse(readFileSync(`${run}/arms/selected.json`, "utf8"))).toEqual([rows[1]]);
    const { arms } = JSON.parse(readFileSync(`${run}/run.json`, "utf8")) as {
      arms: Record<string, { notes: string[] }>;
    };
    expect(arms["selected"]!.notes).toContain(
      'arms are written as the list "data" alone, without the object around it',
    );
  });

  test.each([
    ["two lists of rows", { train: rows, test: rows }, /one list of rows, got "train", "test"; take one \(jq/],
    ["rows under keys", { 0: row, 1: row }, /the rows under keys; write them as a list \(jq '\[\.\[\]\]' FILE\)/],
    ["columns as lists", { instruction: ["a", "c"], output: ["b", "d"] }, /columns of a table; write its rows/],
    ["pandas' columns", { instruction: { 0: "a" }, output: { 0: "b" } }, /columns of a table; write its rows/],
  ])("that holds %s is named", async (_, object, message) => {
    using folder = tempFolder();
    await expect(readExamples(folder.write("data.json", object))).rejects.toThrow(message);
    await expect(readExamples(folder.write("data.json", JSON.stringify(object, null, 2)))).rejects.toThrow(message);
  });

  test("is known under any key, and beside whatever its first rows are", async () => {
    using folder = tempFolder();
    for (const key of ["conversations", "messages", "dialog", "rows"])
      expect(await readExamples(folder.write("data.json", { [key]: rows }))).toHaveLength(2);
    const roles = rows.map((one) => ({ ...one, role: "x" }));
    expect(await readExamples(folder.write("data.json", { data: roles }))).toHaveLength(2);
    const nan = JSON.stringify({ data: rows }, null, 2).replace('"b"', "NaN");
    await expect(readExamples(folder.write("data.json", nan))).rejects.toThrow(
      /data\.json:3 \(row 1\): .*NaN or Infinity/,
    );
    for (const text of ['"data":[{"role":"x"},null]', `"data":${JSON.stringify(rows)}`, '"test":{"0":{"a":1}}'])
      await expect(readExamples(folder.write("data.json", `{"data":${JSON.stringify(rows)},${text}}`))).rejects.toThrow(
        /one list of rows/,
      );
  });

  test("is not a long row with a list of objects", async () => {
    using folder = tempFolder();
    const docs = Array.from({ length: 50_000 }, (_, i) => ({ url: `x${i}`, text: "y".repeat(100) }));
    const long = JSON.stringify({ id: 1, docs, ...row });
    expect(long.length).toBeGreaterThan(2 ** 22);
    expect(await readExamples(folder.write("data.jsonl", long))).toMatchObject([{ instruction: "a" }]);
    expect(await readExamples(folder.write("data.jsonl", `${long}\n${long}`))).toHaveLength(2);
  });

  test("is not a row of a chat, nor a row with a list of its own", async () => {
    using folder = tempFolder();
    const chat = {
      id: 1,
      messages: [
        { role: "user", content: "a" },
        { role: "assistant", content: "b" },
      ],
    };
    for (const one of [chat, { ...row, sources: [{ url: "x" }] }])
      for (const indent of [0, 2])
        expect(await readExamples(folder.write("data.json", JSON.stringify(one, null, indent)))).toHaveLength(1);
  });

  test("that is cut off says where, however large", async () => {
    using folder = tempFolder();
    for (const count of [2, 50_000]) {
      const whole = JSON.stringify({
        data: Array.from({ length: count }, () => ({ ...row, output: "x".repeat(200) })),
      });
      await expect(readExamples(folder.write("data.json", whole.slice(0, -20)))).rejects.toThrow(
        new RegExp(`expected the array to be closed with "]", got the end of the file inside row ${count}`),
      );
    }
  });
});

describe("objects one after the other", () => {
  test("that are compressed give compressed arms, which train reads", async () => {
    using folder = tempFolder();
    const text = Array.from({ length: 4 }, () => JSON.stringify(row, null, 2)).join("\n");
    folder.write("rows.jsonl.gz", gzipSync(text));
    await prepare(folder.path, ["rate", "rows.jsonl.gz"], ["select", "--top", "3"]);
    const arm = readFileSync(`${folder.path}/runs/default/arms/selected.json.gz`);
    expect(JSON.parse(gunzipSync(arm).toString())).toEqual([row, row, row]);
    await prepare(folder.path, ["train", "--recipe", "laptop", "--dry-run"]);
  });

  test("are read with their lines; one that is broken stops, since it hides those after it", async () => {
    using folder = tempFolder();
    const one = JSON.stringify(row);
    const pretty = JSON.stringify(row, null, 2);
    const path = folder.write("data.jsonl", `${pretty}\n\n${one}${one}\n${pretty}`);
    expect((await readExamples(path)).map(({ place }) => place.line)).toEqual([1, 7, 7, 8]);
    for (const broken of [pretty.slice(0, -1), "not one", '{"a":\n}', pretty.replace('"b"', "NaN")]) {
      folder.write("broken.json", `${pretty}\n${broken}\n${pretty}\n${pretty}`);
      for (const unreadable of ["stop", "keep"] as const)
        await expect(readExamples(`${folder.path}/broken.json`, { unreadable })).rejects.toThrow(
          /broken\.json:6 \(row 2\): /,
        );
    }
    folder.write("glued.jsonl", `${one}\n${one}\n${one}${one}\n`);
    await expect(readExamples(`${folder.path}/glued.jsonl`, { unreadable: "keep" })).rejects.toThrow(
      /glued\.jsonl:3: .*several objects.* cannot be skipped/,
    );
    folder.write("first.json", `{\n  "instruction": NaN,\n  "output": "b"\n}\n${pretty}`);
    await expect(readExamples(`${folder.path}/first.json`)).rejects.toThrow(
      /first\.json:1 \(row 1\): .*NaN or Infinity/,
    );
  });
});

describe("tables", () => {
  const texts = [
    "instruction\toutput",
    'Who said "hello"?\tBob',
    '"To be" is from?\tHamlet',
    'An "a\tb',
    'and"\tc',
    "",
  ].join("\n");

  test("with quotes that are text are read so when told", async () => {
    using folder = tempFolder();
    folder.write("data.tsv", texts);
    const refused = await alpagasus(["rate", "data.tsv"], { cwd: folder.path });
    expect([refused.code, refused.stderr]).toEqual([
      2,
      expect.stringMatching(
        /data\.tsv:2: expected quotes around a whole value, got one in its middle; .*--quotes none/,
      ),
    ]);
    await prepare(folder.path, ["rate", "data.tsv", "--quotes", "none"]);
    await prepare(folder.path, ["select", "--where", "output = 'Hamlet' or output = 'c'"]);
    expect(readFileSync(`${folder.path}/runs/default/arms/selected.tsv`, "utf8")).toBe(
      'instruction\toutput\n"To be" is from?\tHamlet\nand"\tc\n',
    );
  });

  test("of chats as JSON text are chats, also TRL's", async () => {
    using folder = tempFolder();
    const cell = (value: unknown) => `"${JSON.stringify(value).replaceAll('"', '""')}"`;
    const asked = [{ role: "user", content: "q" }];
    const answer = [{ role: "assistant", content: "a" }];
    folder.write("trl.csv", `prompt,completion\n${cell(asked)},${cell(answer)}\n`);
    folder.write("chat.csv", `messages\n${cell([...asked, ...answer])}\n`);
    for (const name of ["trl.csv", "chat.csv"])
      expect(await readExamples(`${folder.path}/${name}`)).toMatchObject([{ instruction: "q", output: "a" }]);
  });

  test("read in another way are another training", async () => {
    using folder = tempFolder();
    folder.write("data.csv", `instruction,output\n${'"a","b"\n'.repeat(4)}`);
    const hashes: string[] = [];
    for (const quotes of [[], ["--quotes", "none"]]) {
      await prepare(folder.path, ["rate", "data.csv", "--overwrite", ...quotes], ["select", "--top", "2"]);
      await prepare(folder.path, ["train", "--recipe", "laptop", "--dry-run"]);
      const settings = readFileSync(`${folder.path}/runs/default/models/selected/training.json`, "utf8");
      hashes.push((JSON.parse(settings) as { hash: string }).hash);
    }
    expect(hashes[1]).not.toBe(hashes[0]);
  });

  test("say on which line the quote opens that goes wrong", async () => {
    using folder = tempFolder();
    const path = folder.write("data.tsv", 'instruction\toutput\na\tb\n"Open\tc\nd\te\nSecond" one\tf\n');
    await expect(readExamples(path)).rejects.toThrow(
      /data\.tsv:3: .* text that begins in this row, got other text on line 5/,
    );
  });

  test("with rows of other lengths: those are rows that cannot be read", async () => {
    using folder = tempFolder();
    const good = "a,b\n".repeat(50);
    folder.write("data.csv", `instruction,output\n${good}c\nd,e,f\n${good}`);
    await prepare(folder.path, ["rate", "data.csv", "--unreadable", "skip", "--max-unreadable", "2%"]);
    await prepare(folder.path, ["select", "--where", "output = 'b'"]);
    const kept = readFileSync(`${folder.path}/runs/default/arms/selected.csv`, "utf8");
    expect(kept).toBe(`instruction,output\n${good}${good}`);
  });
});

describe("Arrow, as datasets saves it", () => {
  const saved = fileURLToPath(new URL("saved", import.meta.url));

  test("is read row by row with every digit, and kept rows are JSON Lines", async () => {
    using folder = tempFolder();
    await prepare(folder.path, ["rate", `${saved}/triples`], ["select", "--where", "kind = 0 and score > 0"]);
    const lines = readFileSync(`${folder.path}/runs/default/arms/selected.jsonl`, "utf8").trim().split("\n");
    expect(lines[0]).toBe(
      '{"id":9007199254740993,"instruction":"Name a fruit that begins with A.","input":"","output":"Apple.","weight":0.5,"kind":0,"tags":[],"when":null}',
    );
    expect(lines).toHaveLength(2);
    const [, second] = await readExamples(`${saved}/triples`);
    expect(second!.row).toMatchObject({ weight: null, tags: ["a"], when: "2026-01-02T03:04:05.000Z" });
  });

  test("is read without the files that datasets keeps beside it for later", async () => {
    using folder = tempFolder();
    cpSync(`${saved}/triples`, `${folder.path}/triples`, { recursive: true });
    cpSync(`${saved}/triples/data-00000-of-00001.arrow`, `${folder.path}/triples/cache-12ab.arrow`);
    expect(await readExamples(`${folder.path}/triples`)).toHaveLength(3);
  });

  test("of several splits asks which; a file that is cut off is named", async () => {
    using folder = tempFolder();
    await expect(openDataset(`${saved}/chats`)).rejects.toThrow(/expected one split, found test, train/);
    expect((await openDataset(`${saved}/chats/train`)).shape.name).toBe("messages");
    const bytes = readFileSync(`${saved}/triples/data-00000-of-00001.arrow`);
    for (const length of [8, 400, bytes.length - 300])
      await expect(readExamples(folder.write("cut.arrow", bytes.subarray(0, length)))).rejects.toThrow(
        /cut\.arrow: cannot be read as Arrow.*is the file whole\?/,
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
    // a split of several files is named whole
    folder.write("data/train-00001-of-00001.jsonl", line);
    const refused = await openDataset(folder.path).catch(messageOf);
    const [, pattern] = /for example '(.*)'$/.exec(typeof refused === "string" ? refused : "") ?? [];
    expect((await openDataset(pattern!)).files).toHaveLength(2);
    // one that no other file matches, or the files one by one
    for (const files of [
      ["en-train.jsonl", "fr-train.jsonl", "en-test.jsonl", "fr-test.jsonl"],
      ["train/a/0.jsonl", "train/b/1.jsonl", "test/3.jsonl"],
      ["train.jsonl", "train-2.jsonl", "test.jsonl"],
      [...Array.from({ length: 6 }, (_, i) => `train.part${i}.jsonl`), "test.jsonl"],
    ]) {
      using other = tempFolder();
      for (const file of files) other.write(file, line);
      const told = await openDataset(other.path).catch(messageOf);
      const [, advised = ""] = /for example (.*)$/.exec(typeof told === "string" ? told : "") ?? [];
      const opened = await openDataset(advised.split(" ").map((word) => word.replaceAll("'", "")));
      expect(opened.files.map(({ path }) => path).toSorted()).toEqual(
        files
          .filter((file) => file.includes("train"))
          .map((file) => `${other.path}/${file}`)
          .toSorted(),
      );
    }
  });

  test("with several configurations asks which; several parts of one are one", async () => {
    using folder = tempFolder();
    for (const name of ["main", "socratic"]) folder.write(`data/${name}/train-00000-of-00001.jsonl`, line);
    await expect(openDataset(folder.path)).rejects.toThrow(
      `expected one configuration, found data/main, data/socratic; name one of them, for example ${folder.path}/data/main`,
    );
    for (const name of ["a", "b"]) folder.write(`parts/${name}/part-${name}.jsonl`, line);
    expect(await readExamples(`${folder.path}/parts`)).toHaveLength(2);
  });

  test.each(["part.jsonl.xz", "part.zip", "part.tar"])("with %s beside its data stops and names it", async (name) => {
    using folder = tempFolder();
    folder.write("a.jsonl", line);
    folder.write(name, "x");
    await expect(openDataset(folder.path)).rejects.toThrow(`found also ${name}`);
  });

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
