import { symlinkSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { hashExample } from "../../src/dataset/example.ts";
import { openDataset } from "../../src/dataset/open.ts";
import { readExamples } from "../helpers/examples.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

async function readRow(row: object, options?: Parameters<typeof openDataset>[1]) {
  using folder = tempFolder();
  const path = folder.write("data.json", [row]);
  const { shape } = await openDataset(path, options);
  const [{ instruction, input, output, category, id }] = (await readExamples(path, options)) as [
    Awaited<ReturnType<typeof readExamples>>[number],
  ];
  return { shape: shape.name, instruction, input, output, category, id };
}

describe("shapes", () => {
  it("finds Alpaca rows, with or without an input", async () => {
    expect(await readRow({ instruction: "a", input: "b", output: "c" })).toMatchObject({
      shape: "alpaca",
      instruction: "a",
      input: "b",
      output: "c",
    });
    expect(await readRow({ instruction: "a", input: null, output: "c" })).toMatchObject({ shape: "alpaca", input: "" });
  });

  it("finds Dolly rows with their category", async () => {
    expect(await readRow({ instruction: "a", context: "b", response: "c", category: "qa" })).toMatchObject({
      shape: "dolly",
      input: "b",
      output: "c",
      category: "qa",
    });
  });

  it("takes all of a conversation but the last assistant turn for the instruction", async () => {
    const conversations = [
      { from: "system", value: "Be brief." },
      { from: "human", value: "Hi" },
      { from: "gpt", value: "Hello" },
      { from: "human", value: "Bye" },
      { from: "gpt", value: "Goodbye" },
    ];
    expect(await readRow({ id: 7, conversations })).toMatchObject({
      shape: "sharegpt",
      instruction: "System: Be brief.\n\nUser: Hi\n\nAssistant: Hello\n\nUser: Bye",
      output: "Goodbye",
      id: "7",
    });
  });

  it("leaves a lone question as it stands, so that the same text is the same example in every shape", async () => {
    const chat = await readRow({
      messages: [
        { role: "user", content: "a" },
        { role: "assistant", content: [{ type: "text", text: "c" }] },
      ],
    });
    expect(chat).toMatchObject({ shape: "messages", instruction: "a", output: "c" });
    expect(hashExample(chat)).toBe(hashExample(await readRow({ instruction: "a", output: "c" })));
  });

  it("takes columns under other names", async () => {
    const row = { prompt: "a", answer: "c", topic: 4, key: "k" };
    const map = { instruction: "prompt", output: "answer", category: "topic", id: "key" };
    expect(await readRow(row, { map })).toMatchObject({
      shape: "mapped",
      instruction: "a",
      output: "c",
      category: "4",
      id: "k",
    });
  });

  it("follows links to files, as caches of the Hub have them", async () => {
    using folder = tempFolder();
    const blob = folder.write("blobs/1.jsonl", '{"instruction":"a","output":"b"}\n');
    folder.write("snapshot/README.md", "");
    symlinkSync(blob, `${folder.path}/snapshot/data.jsonl`);
    symlinkSync("/nowhere", `${folder.path}/snapshot/broken.jsonl`);
    expect(await readExamples(`${folder.path}/snapshot`)).toHaveLength(1);
  });

  it("reads a folder's files in the order of their paths, and a pattern's", async () => {
    using folder = tempFolder();
    for (const name of ["b/2.jsonl", "a/1.jsonl", "c.jsonl", ".hidden/x.jsonl", "README.md"])
      folder.write(name, `{"instruction":"${name}","output":"b"}\n`);
    expect((await readExamples(folder.path)).map((example) => example.instruction)).toEqual([
      "a/1.jsonl",
      "b/2.jsonl",
      "c.jsonl",
    ]);
    expect(
      (await readExamples(`${folder.path}/*/*.jsonl`)).map((example) => [example.index, example.instruction]),
    ).toEqual([
      [0, "a/1.jsonl"],
      [1, "b/2.jsonl"],
    ]);
  });
});
