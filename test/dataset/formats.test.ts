import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import {
  Field,
  Int32,
  List,
  Null,
  Struct,
  Table,
  tableToIPC,
  Utf8,
  vectorFromArray,
  type DataType,
} from "apache-arrow";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openDuckDb, sqlPath } from "../../src/dataset/duckdb.ts";
import { openDataset } from "../../src/dataset/open.ts";
import { openRowWriter } from "../../src/dataset/write.ts";
import { readExamples } from "../helpers/examples.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";
import { howOften, isLong } from "../helpers/long.ts";

type Row = Record<string, unknown>;

const text = fc.string({ unit: "binary", maxLength: 60 }).filter((value) => value.isWellFormed());
const turns = (user: string, assistant: string, role = "role", content = "content") =>
  fc.array(text, { minLength: 1, maxLength: 3 }).map((texts) =>
    texts.flatMap((value, i) => [
      { [role]: user, [content]: value },
      { [role]: assistant, [content]: `${i}${value}` },
    ]),
  );
const toolTurns = fc.tuple(text, text, text).map(([asked, found, answer]) => [
  { role: "system", content: "s", tool_calls: null, reasoning_content: null },
  { role: "user", content: asked, tool_calls: null, reasoning_content: null },
  {
    role: "assistant",
    content: "",
    tool_calls: [{ type: "function", function: { name: "look", arguments: '{"a":1}' } }],
    reasoning_content: null,
  },
  { role: "tool", content: found, tool_calls: null, reasoning_content: null },
  { role: "assistant", content: answer, tool_calls: null, reasoning_content: "x" },
]);

/** Rows of every shape; those of the last ones hold lists. */
const flatShapes: Record<string, fc.Arbitrary<Row>> = {
  alpaca: fc.record({ instruction: text, input: text, output: text }),
  "alpaca, with a system text": fc.record({ instruction: text, input: text, output: text, system: text }),
  dolly: fc.record({ instruction: text, context: text, response: text, category: text }),
  openorca: fc.record({ id: text, system_prompt: text, question: text, response: text }),
  "query-response": fc.record({ query: text, response: text }),
  "query-answer": fc.record({ query: text, answer: text }),
  "question-answer": fc.record({ question: text, answer: text }),
  "prompt-completion": fc.record({ prompt: text, completion: text }),
  "prompt-response": fc.record({ prompt: text, response: text }),
  "messages, as JSON text": fc.record({ messages: turns("user", "assistant").map((list) => JSON.stringify(list)) }),
};
const nestedShapes: Record<string, fc.Arbitrary<Row>> = {
  messages: fc.record({ messages: turns("user", "assistant") }),
  "messages, with tools": fc.record({
    messages: toolTurns,
    tools: fc.constant([{ name: "look" }]),
    weight: fc.integer(),
  }),
  sharegpt: fc.record({ conversations: turns("human", "gpt", "from", "value"), system: text }),
  conversation: fc.record({ conversation: turns("user", "assistant") }),
  dialog: fc.record({ dialog: turns("user", "assistant") }),
  "prompt-messages": fc.record({
    prompt: text.map((content) => [{ role: "user", content }]),
    completion: text.map((content) => [{ role: "assistant", content }]),
  }),
  "alpaca, with a history": fc.record({
    instruction: text,
    output: text,
    history: fc.tuple(text, text).map((pair) => [pair]),
  }),
};
const shapes = { ...flatShapes, ...nestedShapes };

const jsonLines = (rows: readonly Row[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
const writers: Record<string, (folder: TempFolder, rows: readonly Row[]) => string | Promise<string>> = {
  json: (folder, rows) => folder.write("data.json", JSON.stringify(rows)),
  "indented json": (folder, rows) => folder.write("data.json", JSON.stringify(rows, null, 4)),
  "json in an object": (folder, rows) =>
    folder.write(
      "data.json",
      JSON.stringify({ version: "1", note: { a: ["]"] }, data: rows, after: [1, "x"] }, null, 2),
    ),
  "objects one after the other": (folder, rows) =>
    folder.write("data.jsonl", rows.map((row) => JSON.stringify(row, null, 2)).join("\n")),
  "objects without anything between them": (folder, rows) =>
    folder.write("data.json", rows.map((row) => JSON.stringify(row)).join("")),
  jsonl: (folder, rows) => folder.write("data.jsonl", rows.map((row) => JSON.stringify(row)).join("\n")),
  "jsonl with carriage returns and a byte order mark": (folder, rows) =>
    folder.write("data.jsonl", `\ufeff${rows.map((row) => JSON.stringify(row)).join("\r\n\r\n")}\r\n`),
  "jsonl in UTF-16": (folder, rows) => folder.write("data.jsonl", Buffer.from(`\ufeff${jsonLines(rows)}`, "utf16le")),
  "json.gz": (folder, rows) => folder.write("data.json.gz", gzipSync(JSON.stringify(rows))),
  "jsonl.gz": (folder, rows) => folder.write("data.jsonl.gz", gzipSync(jsonLines(rows))),
  csv: (folder, rows) => folder.write("data.csv", csvOf(rows)),
  "csv in UTF-16": (folder, rows) => folder.write("data.csv", Buffer.from(`\ufeff${csvOf(rows)}`, "utf16le").swap16()),
  tsv: (folder, rows) => folder.write("data.tsv", csvOf(rows, "\t")),
  parquet: writeParquet,
  arrow: (folder, rows) => folder.write("data.arrow", tableToIPC(arrowOf(rows), "stream")),
  "an arrow file": (folder, rows) => folder.write("data.arrow", tableToIPC(arrowOf(rows), "file")),
};

function arrowOf(rows: readonly Row[]): Table {
  const columns = Object.keys(rows[0]!).map((name) => {
    const values = rows.map((row) => row[name]);
    return [name, vectorFromArray(values, arrowType(values))] as const;
  });
  return new Table(Object.fromEntries(columns));
}

function arrowType(values: readonly unknown[]): DataType {
  const some = values.filter((value) => value !== null && value !== undefined);
  const [first] = some;
  if (first === undefined) return new Null();
  if (typeof first === "string") return new Utf8();
  if (typeof first === "number") return new Int32();
  if (Array.isArray(first)) return new List(new Field("item", arrowType(some.flat()), true));
  const names = Object.keys(first);
  return new Struct(names.map((name) => new Field(name, arrowType(some.map((value) => (value as Row)[name])), true)));
}

function csvOf(rows: readonly Row[], separator = ","): string {
  const columns = Object.keys(rows[0]!);
  const cell = (value: unknown) => `"${String(value).replaceAll('"', '""')}"`;
  const lines = rows.map((row) => columns.map((column) => cell(row[column])).join(separator));
  return [columns.join(separator), ...lines].join("\n");
}

async function writeParquet(folder: TempFolder, rows: readonly Row[]): Promise<string> {
  const json = folder.write("rows.ndjson", rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const path = `${folder.path}/data.parquet`;
  await using database = await openDuckDb();
  await database.connection.run(
    `COPY (SELECT * FROM read_json(${sqlPath(json)}, format = 'newline_delimited', sample_size = -1, convert_strings_to_integers = false, dateformat = '%%', timestampformat = '%%')) TO ${sqlPath(path)} (FORMAT parquet)`,
  );
  return path;
}

/** The shapes that every run tries in every format; the others are tried in all formats in the long run. */
const usual: ReadonlySet<string> = new Set(["alpaca", "dolly", "messages, with tools", "sharegpt"]);
const isRewritten = /UTF-16|object|arrow/;

describe("a read-write round trip is the identity", () => {
  for (const [format, write] of Object.entries(writers)) {
    for (const [shape, row] of Object.entries(shapes)) {
      if (/^csv|^tsv/.test(format) && shape in nestedShapes) continue; // a cell of CSV holds no list
      if (format !== "jsonl" && !isLong && !usual.has(shape)) continue;
      it(`of ${shape} rows in ${format}`, { timeout: 120_000 }, async () => {
        await fc.assert(
          fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 12 }), async (rows) => {
            using folder = tempFolder();
            const path = await write(
              folder,
              format === "parquet" ? rows.map((value) => prefixTexts(value) as Row) : rows,
            );
            const dataset = await openDataset(path);
            expect(dataset.shape.name).toBe(shape.split(",")[0]);
            const before = await readExamples(path);
            expect(before).toHaveLength(rows.length);
            const copy = `${folder.path}/copy${dataset.extension}`;
            const writer = openRowWriter(dataset, copy);
            for (const example of before) await writer.write(example);
            await writer.commit();
            const after = await readExamples(copy);
            const content = ({
              instruction,
              input,
              output,
              category,
              row: columns,
              text: own,
            }: (typeof before)[number]) => ({ instruction, input, output, category, columns, own });
            expect(after.map(content)).toEqual(before.map(content));
            if (format !== "parquet") expect(before.map((example) => example.row)).toEqual(rows);
            const isOneLine = format.startsWith("objects without") && rows.length === 1;
            expect(dataset.rewritten !== undefined).toBe(isRewritten.test(format) && !isOneLine);
          }),
          { numRuns: format === "parquet" ? howOften(6, 2) : howOften(25, 6) },
        );
      });
    }
  }
});

const roles: ReadonlySet<string> = new Set(["system", "user", "assistant", "tool", "human", "gpt", "function", "look"]);

/** Puts a letter before every text: the reader that makes the Parquet file here takes "2020-01-01" for a date. */
function prefixTexts(value: unknown): unknown {
  if (typeof value === "string") return roles.has(value) || value.startsWith("[{") ? value : `x${value}`;
  if (Array.isArray(value)) return value.map(prefixTexts);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value as Row).map(([key, part]) => [key, prefixTexts(part)]));
}

describe("writing rows", () => {
  it("gives an indented file back byte for byte when all rows are kept", async () => {
    using folder = tempFolder();
    const rows = [
      { instruction: "a", output: "b" },
      { instruction: "c", output: "d" },
    ];
    const original = `${JSON.stringify(rows, null, 4)}\n`;
    const dataset = await openDataset(folder.write("data.json", original));
    const writer = openRowWriter(dataset, `${folder.path}/copy.json`);
    for await (const batch of dataset.batches()) for (const example of batch) await writer.write(example);
    await writer.commit();
    expect(readFileSync(`${folder.path}/copy.json`, "utf8")).toBe(original);
  });

  it("leaves nothing behind when it gives up", async () => {
    using folder = tempFolder();
    const dataset = await openDataset(folder.write("data.jsonl", '{"instruction":"a","output":"b"}\n'));
    const writer = openRowWriter(dataset, `${folder.path}/out/copy.jsonl`);
    for await (const batch of dataset.batches()) for (const example of batch) await writer.write(example);
    await writer.discard();
    expect(readdirSync(`${folder.path}/out`)).toEqual([]);
  });
});

describe("Parquet", () => {
  async function write(path: string, select: string): Promise<string> {
    await using database = await openDuckDb();
    await database.connection.run(`COPY (${select}) TO ${sqlPath(path)} (FORMAT parquet)`);
    return path;
  }

  it("refuses files whose columns differ, instead of casting one's values to the other's types", async () => {
    using folder = tempFolder();
    await write(`${folder.path}/1.parquet`, "SELECT 'a' AS instruction, 'b' AS output, 1::BIGINT AS score");
    await write(`${folder.path}/2.parquet`, "SELECT 'a' AS instruction, 'b' AS output, 1.5::DOUBLE AS score");
    await expect(readExamples(folder.path)).rejects.toThrow(
      /2.parquet: expected the columns of .*1.parquet .*score BIGINT\), got .*score DOUBLE/,
    );
  });

  it("takes NaN for no value, and reads columns of any name", async () => {
    using folder = tempFolder();
    const path = await write(
      `${folder.path}/1.parquet`,
      "SELECT 'a' AS instruction, 'b' AS output, 'nan'::DOUBLE AS score, 'c' AS r, 'x' AS \"od\"\"d\"",
    );
    expect((await readExamples(path))[0]!.row).toEqual({
      instruction: "a",
      output: "b",
      score: null,
      r: "c",
      'od"d': "x",
    });
  });

  it("takes NaN and infinite numbers inside lists, structs and maps for no value, and leaves texts that say so", async () => {
    using folder = tempFolder();
    const path = await write(
      `${folder.path}/1.parquet`,
      `SELECT 'NaN' AS instruction, '"-Infinity"' AS output, [1.5::DOUBLE, 'nan'::DOUBLE] AS list,
        {'x': 'inf'::FLOAT, 'y': [{'NaN': '-inf'::DOUBLE}]} AS struct, MAP {'Infinity': 'nan'::DOUBLE} AS map`,
    );
    expect((await readExamples(path))[0]!.row).toEqual({
      instruction: "NaN",
      output: '"-Infinity"',
      list: [1.5, null],
      struct: { x: null, y: [{ NaN: null }] },
      map: { Infinity: null },
    });
  });

  it("adds no columns from the names of folders", async () => {
    using folder = tempFolder();
    folder.write("split=train/.keep", "");
    await write(`${folder.path}/split=train/1.parquet`, "SELECT 'a' AS instruction, 'b' AS output");
    const dataset = await openDataset(folder.path);
    const writer = openRowWriter(dataset, `${folder.path}/copy.parquet`);
    for await (const batch of dataset.batches()) for (const example of batch) await writer.write(example);
    await writer.commit();
    expect((await readExamples(`${folder.path}/copy.parquet`))[0]!.row).toEqual({ instruction: "a", output: "b" });
  });
});

describe("large rows", () => {
  it("reads a CSV cell without a line end whose characters fall across chunks", async () => {
    using folder = tempFolder();
    for (const lead of ["", "q", "qq"]) {
      const output = lead + "漢".repeat(60_000);
      expect((await readExamples(folder.write("wide.csv", `instruction,output\nq,${output}`)))[0]!.output).toBe(output);
    }
  });

  it.runIf(isLong)("reads rows that are longer than any chunk, in every text format", async () => {
    using folder = tempFolder();
    const output = 'x"\\\n{[,]}'.repeat(150_000);
    const rows = [0, 1, 2].map((i) => ({ instruction: `row ${i}`, input: "", output: output + i }));
    for (const format of ["json", "jsonl", "csv"]) {
      const examples = await readExamples(await writers[format]!(folder, rows));
      expect(examples.map((example) => example.output === output + example.index)).toEqual([true, true, true]);
    }
  });
});
