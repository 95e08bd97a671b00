import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { DataError, UsageError } from "../../src/errors.ts";
import { readExamples } from "../helpers/examples.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

const good = '{"instruction":"a","output":"b"}';

function utf32(text: string): Buffer {
  return Buffer.from(Uint32Array.from(text, (character) => character.codePointAt(0)!).buffer);
}

/** Content, file name, and what the message must say after the file's path. */
const cases: [title: string, name: string, content: string | Uint8Array, message: RegExp][] = [
  ["an empty file", "data.json", "", /^: expected rows, got an empty file$/],
  ["a file of white space", "data.jsonl", "\n \n", /^: expected rows, got an empty file$/],
  ["an empty array", "data.json", "[]", /^: expected rows, got none$/],
  [
    "an array that is cut short in a row",
    "data.json",
    `[${good},\n{"instruction":"a","out`,
    /^:2: expected the array to be closed .* inside row 2, which begins on line 2/,
  ],
  [
    "an array that is cut short after a row",
    "data.json",
    `[${good},${good}`,
    /^:1: expected the array to be closed .* row 2/,
  ],
  [
    "a row that is a number",
    "data.json",
    `[${good},\n3]`,
    /^:2 \(row 2\): expected a row to be an object, got number; 1 of 2 rows cannot be read; /,
  ],
  [
    "a row that is null",
    "data.jsonl",
    `${good}\nnull\n`,
    /^:2: expected a row to be an object, got null; 1 of 2 rows cannot be read; /,
  ],
  [
    "a row that is an array",
    "data.json",
    `[${good}, []]`,
    /^:1 \(row 2\): expected a row to be an object, got array; 1 of 2 rows cannot be read; /,
  ],
  [
    "a number where text belongs",
    "data.jsonl",
    `${good}\n\n{"instruction":"a","output":5}\n`,
    /^:3: expected "output" to be a string, got number; 1 of 2 rows cannot be read; /,
  ],
  [
    "a column that is missing in one row",
    "data.jsonl",
    `${good}\n{"instruction":"a"}\n`,
    /^:2: expected "output" to be a string, got nothing; 1 of 2 rows cannot be read; /,
  ],
  ["a line that is not JSON", "data.jsonl", `${good}\n{"instruction":\n`, /^:2: expected one JSON object a line: /],
  [
    "an object over several lines without rows",
    "data.jsonl",
    '{\n"data": []\n}',
    /^:1 \(row 1\): expected columns .* got data;/,
  ],
  ["a comma too many", "data.json", `[${good},]`, /^:1 \(row 2\): expected a row, got "]"; is there an extra comma\?$/],
  [
    "something after the array",
    "data.json",
    `[${good}]\nx`,
    /^:2 \(row 2\): expected nothing after the closing "]", got "x"$/,
  ],
  [
    "invalid UTF-8 in JSON",
    "data.jsonl",
    Buffer.concat([Buffer.from(`${good}\n{"instruction":"`), Buffer.from([0xff]), Buffer.from('","output":"b"}')]),
    /^:2: expected UTF-8 text, got invalid bytes; 1 of 2 rows cannot be read; /,
  ],
  [
    "invalid UTF-8 in CSV",
    "data.csv",
    Buffer.concat([Buffer.from("instruction,output\na,b\nc,"), Buffer.from([0xe9]), Buffer.from("\n")]),
    /^:3: expected UTF-8 text, got invalid bytes$/,
  ],
  [
    "UTF-16 that is cut off",
    "data.json",
    Buffer.from("\ufeff[]", "utf16le").subarray(0, 5),
    /^: expected UTF-16 text, as its first two bytes say, got invalid bytes$/,
  ],
  [
    "UTF-32",
    "data.jsonl",
    utf32(`\ufeff${good}\n`),
    /^: expected text in UTF-8, .* got UTF-32LE; convert it with iconv -f UTF-32LE -t UTF-8$/,
  ],
  ["UTF-32 without a mark", "data.json", utf32(`[${good}]`), / got UTF-32LE; /],
  ["UTF-32 the other way round", "data.csv", utf32("instruction,output\na,b\n").swap32(), / got UTF-32BE; /],
  [
    "UTF-16 without a mark",
    "data.csv",
    Buffer.from("instruction,output\na,b\n", "utf16le"),
    / got UTF-16LE without one; convert it with iconv -f UTF-16LE -t UTF-8$/,
  ],
  [
    "a CSV without the column",
    "data.csv",
    "instruction,answer\na,b\n",
    /^:2: expected columns .*got instruction, answer; name yours with --map/,
  ],
  [
    "a CSV row with a cell too few",
    "data.csv",
    'instruction,output\n"a\n",b\nc\n',
    /^:4: expected 2 values as in the header \(instruction, output\), got 1; 1 of 2 rows cannot be read/,
  ],
  [
    "a CSV with a column twice",
    "data.csv",
    "output,output\na,b\n",
    /^:1: expected column names that differ, got "output" twice$/,
  ],
  ["a CSV without rows", "data.csv", "instruction,output\n", /^: expected rows, got none$/],
  [
    "a CSV that is not closed",
    "data.csv",
    'instruction,output\n"a,b\n',
    /^:2: a quote opens in this row and is not closed by the end of the file; .*--quotes none/,
  ],
  ["a Parquet file that is none", "data.parquet", "PAR1 not really", /^: cannot be read as Parquet: /],
  ["an empty Parquet file", "data.parquet", "", /^: expected rows, got an empty file$/],
  ["damaged gzip", "data.jsonl.gz", gzipSync(good.repeat(100)).subarray(0, 40), /^: cannot be read: /],
  [
    "a mixed shape",
    "data.jsonl",
    `${good}\n{"instruction":"a","response":"b"}\n`,
    /^:2: expected the alpaca shape .* got the dolly shape; split the data by shape; 1 of 2 rows cannot be read; /,
  ],
  [
    "an unknown shape",
    "data.jsonl",
    '{"q":"a","a":"b"}\n',
    /^:1: expected columns .*\[alpaca\].*, got q, a; name yours with --map instruction=COLUMN,output=COLUMN$/,
  ],
  [
    "a conversation without an answer",
    "data.jsonl",
    '{"messages":[{"role":"user","content":"a"}]}\n',
    /^:1: expected an assistant turn in "messages", got none in 1 turn$/,
  ],
  [
    "a turn without a speaker",
    "data.jsonl",
    '{"messages":[{"content":"a"}]}\n',
    /^:1: expected messages\[0\] to name its speaker/,
  ],
  [
    "a picture in a conversation",
    "data.jsonl",
    '{"messages":[{"role":"assistant","content":[{"type":"image_url"}]}]}\n',
    /^:1: expected every part of messages\[0\] to be text/,
  ],
];

describe("bad input stops with its place, what was expected and what was found", () => {
  it.each(cases)("%s", async (_title, name, content, message) => {
    using folder = tempFolder();
    const path = folder.write(name, content);
    const error: unknown = await readExamples(path).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(DataError);
    const text = (error as DataError).message;
    expect(text.startsWith(path)).toBe(true);
    expect(text.slice(path.length)).toMatch(message);
    expect(text).not.toContain("\n");
  });

  it("a missing file", async () => {
    await expect(readExamples("nowhere.json")).rejects.toThrow("nowhere.json: no such file, folder or pattern");
  });

  it("a name that tells no format", async () => {
    using folder = tempFolder();
    await expect(readExamples(folder.write("data.txt", good))).rejects.toThrow(
      /data.txt: expected a name that ends in/,
    );
  });

  it("files of two formats", async () => {
    using folder = tempFolder();
    folder.write("a.jsonl", good);
    folder.write("b.csv", "instruction,output\na,b\n");
    await expect(readExamples(folder.path)).rejects.toThrow(
      /b.csv: expected .jsonl like .*a.jsonl, got .csv; a dataset's files have one format/,
    );
  });

  it("a shape that does not exist", async () => {
    using folder = tempFolder();
    await expect(readExamples(folder.write("a.jsonl", good), { shape: "alpacca" })).rejects.toThrow(UsageError);
  });
});
