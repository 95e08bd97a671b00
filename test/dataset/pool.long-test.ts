import { Int64, Table, Utf8, tableToIPC, vectorFromArray } from "apache-arrow";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { openDataset } from "../../src/dataset/open.ts";
import type { ArmSummary } from "../../src/run/records/arm.ts";
import type { RateSummary } from "../../src/run/records/rating.ts";
import { alpagasus } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* Several sources in one run: each with its own format and shape, told apart by the column `source`. */

const rowsOf = (from: string, count: number) =>
  Array.from({ length: count }, (_, i) => ({
    instruction: `${from} question ${i}`,
    input: "",
    output: `${from} ${i}`,
  }));

const chat = (i: number) => ({
  messages: [
    { role: "system", content: "Be brief." },
    { role: "user", content: `chat question ${i}` },
    { role: "assistant", content: `chat ${i}` },
  ],
});

async function run<Result>(folder: TempFolder, ...args: string[]): Promise<Result> {
  const { code, stdout, stderr } = await alpagasus([...args, "--json"], { cwd: folder.path });
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout) as Result;
}

const armOf = (folder: TempFolder, name: string) => readFileSync(`${folder.path}/runs/default/arms/${name}`, "utf8");

describe("a pool of sources", () => {
  test("of other shapes keeps the options of the chat template, names and weights", async () => {
    using folder = tempFolder();
    const said = [
      { role: "user", content: "One?", name: "Ann" },
      { role: "assistant", content: "Bad.", weight: 0 },
      { role: "user", content: "Two?" },
      { role: "assistant", content: "Good." },
    ];
    folder.write("a.jsonl", JSON.stringify({ messages: said, chat_template_kwargs: { enable_thinking: false } }));
    folder.write("b.json", rowsOf("b", 1));
    await run<RateSummary>(folder, "rate", "a.jsonl", "b.json");
    await run<ArmSummary>(folder, "select", "--top", "2");
    expect(parseLines<object>(armOf(folder, "selected.jsonl"))[0]).toMatchObject({
      messages: said,
      chat_template_kwargs: { enable_thinking: false },
    });
  });

  test("with other formats and shapes is rated whole, chosen by source, and written as messages", async () => {
    using folder = tempFolder();
    folder.write("a.json", rowsOf("a", 6));
    folder.write(
      "b.csv",
      `instruction,output\n${rowsOf("b", 5)
        .map((row) => `${row.instruction},${row.output}\n`)
        .join("")}`,
    );
    folder.write("c.jsonl", Array.from({ length: 4 }, (_, i) => JSON.stringify(chat(i))).join("\n"));
    const rated = await run<RateSummary>(folder, "rate", "a.json", "b.csv", "c.jsonl");
    expect(rated.states).toEqual({ scored: 15 });
    const arm = await run<ArmSummary>(folder, "select", "--quota", "source=a:2,c:50%");
    expect(arm.rows).toBe(4);
    expect(arm.choice).toContain("by source at most 2 of a, 50.0 % of c");
    const kept = parseLines<{ messages: { role: string; content: string }[]; source: string }>(
      armOf(folder, "selected.jsonl"),
    );
    expect(kept.map(({ source }) => source)).toEqual(["a", "a", "c", "c"]);
    expect(kept[0]!.messages.map(({ role }) => role)).toEqual(["user", "assistant"]);
    expect(kept[2]!.messages.map(({ role }) => role)).toEqual(["system", "user", "assistant"]);
    const where = await run<ArmSummary>(folder, "select", "--where", "source = 'b' and score >= 0", "--arm", "b");
    expect(where.rows).toBe(5);
    const per = await run<ArmSummary>(folder, "select", "--top", "6", "--per", "source", "--arm", "per");
    expect(
      Object.groupBy(parseLines<{ source: string }>(armOf(folder, "per.jsonl")), ({ source }) => source),
    ).toMatchObject({ a: [{}, {}], b: [{}, {}], c: [{}, {}] });
    expect(per.rows).toBe(6);
    const again = await run<RateSummary>(folder, "rate", "a.json", "b.csv", "c.jsonl");
    expect(again.ratingsHash).toBe(rated.ratingsHash);
    expect(await alpagasus(["report"], { cwd: folder.path })).toMatchObject({ code: 0, stderr: "" });
    const status = await alpagasus(["status"], { cwd: folder.path });
    expect(status.stdout).toContain("a.json + b.csv + c.jsonl");
  });

  test("of one format and shape keeps both, and its rows word for word", async () => {
    using folder = tempFolder();
    folder.write("a.jsonl", '{"instruction":"x", "output":"y","big":12345678901234567890}\n');
    folder.write("b.jsonl", '{"instruction":"v", "output":"w"}\n');
    await run<RateSummary>(folder, "rate", "a.jsonl", "b.jsonl");
    await run<ArmSummary>(folder, "select", "--method", "full");
    expect(armOf(folder, "full.jsonl")).toBe(
      `${readFileSync(`${folder.path}/a.jsonl`, "utf8")}${readFileSync(`${folder.path}/b.jsonl`, "utf8")}`,
    );
  });

  test("of one shape in other formats is written as objects with all columns", async () => {
    using folder = tempFolder();
    folder.write("a.json", `[\n  {"instruction":"x",\n   "output":"y\\n","big":12345678901234567890}\n]`);
    folder.write("b.csv", "instruction,output,more\nv,w,z\n");
    await run<RateSummary>(folder, "rate", "a.json", "b.csv");
    await run<ArmSummary>(folder, "select", "--method", "full");
    expect(armOf(folder, "full.jsonl")).toBe(
      '{"instruction":"x",    "output":"y\\n","big":12345678901234567890}\n{"instruction":"v","output":"w","more":"z"}\n',
    );
  });

  test("keeps whole numbers of Arrow beside those of JSON", async () => {
    using folder = tempFolder();
    const table = new Table({
      instruction: vectorFromArray(["a"], new Utf8()),
      output: vectorFromArray(["x"], new Utf8()),
      big: vectorFromArray([1_234_567_890_123_456_789n], new Int64()),
    });
    folder.write("a.arrow", tableToIPC(table, "file"));
    folder.write("b.jsonl", '{"instruction":"b","output":"y","big":98765432109876543210}\n');
    await run<RateSummary>(folder, "rate", "a.arrow", "b.jsonl");
    await run<ArmSummary>(folder, "select", "--method", "full");
    expect(armOf(folder, "full.jsonl")).toBe(
      '{"instruction":"a","output":"x","big":1234567890123456789}\n{"instruction":"b","output":"y","big":98765432109876543210}\n',
    );
  });

  test("takes whole paths as names where two files have one name, and refuses a source twice", async () => {
    using folder = tempFolder();
    folder.write("one/data.json", rowsOf("one", 1));
    folder.write("two/data.json", rowsOf("two", 1));
    const paths = [`${folder.path}/one/data.json`, `${folder.path}/two/data.json`];
    expect((await openDataset(paths)).pool?.map(({ label }) => label)).toEqual(paths);
    const { code, stderr } = await alpagasus(["rate", "one/data.json", "one/data.json"], { cwd: folder.path });
    expect([code, stderr]).toEqual([2, expect.stringContaining("expected each source once")]);
  });

  test.each([
    ["source=x:2", 'expected values of the column source (a, b), got "x"'],
    ["nothing=a:2", 'expected a column of the data, got "nothing"'],
    ["source=a", "Expected a column and, for each of its values once, a number of rows or a share"],
  ])("a quota of %s is refused", async (quota, message) => {
    using folder = tempFolder();
    folder.write("a.json", rowsOf("a", 3));
    folder.write("b.json", rowsOf("b", 3));
    await run<RateSummary>(folder, "rate", "a.json", "b.json");
    const { code, stderr } = await alpagasus(["select", "--quota", quota], { cwd: folder.path });
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  });
});
