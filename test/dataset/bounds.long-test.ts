import { describe, expect, test } from "vitest";
import { openDataset } from "../../src/dataset/open.ts";
import { openJudge } from "../../src/judge/open.ts";
import { alpagasus, prepare } from "../helpers/command-line.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

/* Files that would take all memory, all time, or end the process, whoever wrote them. */

async function readAll(path: string): Promise<number> {
  let rows = 0;
  for await (const batch of (await openDataset(path)).batches()) rows += batch.length;
  return rows;
}

const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;

describe("data", () => {
  test("with an unclosed quote ends at 64 MB with the line where it opens", async () => {
    using folder = tempFolder();
    const path = folder.write("open.csv", `instruction,output\na,b\n"c,d\n${"e,f\n".repeat(20_000_000)}`);
    const before = process.memoryUsage().rss;
    await expect(readAll(path)).rejects.toThrow(/open\.csv:3: the row is longer than 64 MB; is a quote missing\?/);
    expect(process.memoryUsage().rss - before).toBeLessThan(1.2 * 2 ** 30);
  });

  test.each([101, 1_000, 100_000])("with %i lists inside each other is refused in words", async (depth) => {
    using folder = tempFolder();
    const row = `{"instruction":"a","output":"b","extra":${nested(depth)}}`;
    const lines = folder.write("deep.jsonl", `${row}\n`);
    const array = folder.write("deep.json", `[${row}]`);
    await expect(readAll(lines)).rejects.toThrow(
      /deep\.jsonl:1: expected at most 100 objects and lists inside each other/,
    );
    await expect(readAll(array)).rejects.toThrow(/inside each other/);
  });

  test("with a hundred thousand columns is read", async () => {
    using folder = tempFolder();
    const names = Array.from({ length: 100_000 }, (_, i) => `c${i}`);
    const path = folder.write("wide.csv", `instruction,output,${names.join(",")}\na,b,${names.join(",")}\n`);
    expect(await readAll(path)).toBe(1);
  });

  test("whose scores have one far index takes no room for those before", async () => {
    using folder = tempFolder();
    const path = folder.write("far.jsonl", '{"index":0,"score":1}\n{"index":4000000000,"score":2}\n');
    const before = process.memoryUsage().arrayBuffers;
    await openJudge(`recorded:${path}`);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 2 ** 20);
  });
});

describe("--where", () => {
  test.each([
    ["true) UNION SELECT 0 WHERE (true", /expected one condition/],
    ["1=1), (2=2", /expected one condition/],
    ["true) LIMIT (2", /expected one condition/],
    ["true) GROUP BY (index", /expected one condition/],
    ["true); DROP TABLE rows; SELECT (true", /expected one condition|syntax error/],
    ["exists (select * from read_csv('/etc/passwd'))", /disabled|permission/i],
    ["(select count(*) from (SELECT set_config('enable_external_access', 'true'))) > 0", /exist|Function/i],
    [`${"(".repeat(5_000)}true${")".repeat(5_000)}`, /expected a condition of at most/],
    [`${"NOT ".repeat(2_400)}true`, /expected a condition of at most/],
    ["nothing_of_that_name > 1", /nothing_of_that_name/],
  ])("is one condition: %s", async (condition, message) => {
    using folder = tempFolder();
    folder.write("rows.json", [{ instruction: "a", output: "b" }]);
    await prepare(folder.path, ["rate", "rows.json"]);
    const { code, stderr } = await alpagasus(["select", "--where", condition], { cwd: folder.path });
    expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
    expect(stderr).not.toMatch(/(Binder|Parser|Catalog) Error/);
  });
});

test("--where takes a long list", async () => {
  using folder = tempFolder();
  folder.write("rows.json", [{ instruction: "a", output: "b" }]);
  await prepare(folder.path, ["rate", "rows.json"]);
  const list = Array.from({ length: 1_200 }, (_, i) => i).join(", ");
  const { code, stderr } = await alpagasus(["select", "--where", `index IN (${list})`], { cwd: folder.path });
  expect([code, stderr]).toEqual([0, ""]);
});
