import {
  Decimal,
  Field,
  Int32,
  Map_,
  Struct,
  Table,
  TimestampMicrosecond,
  TimestampNanosecond,
  Utf8,
  type Vector,
  makeData,
  makeVector,
  tableToIPC,
  vectorFromArray,
} from "apache-arrow";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { openDataset } from "../../src/dataset/open.ts";
import { alpagasus, prepare } from "../helpers/command-line.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

test("times and decimals of Arrow are read to the microsecond, and with their scale", async () => {
  const times = BigInt64Array.of(1_700_000_000_123_999_756n, 1_700_000_000_000_000_000n, -1_500n);
  const decimals = new Uint32Array(12); // 128 bits each
  decimals.set([12, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0]);
  const table = new Table({
    instruction: vectorFromArray(["a", "b", "c"], new Utf8()),
    output: vectorFromArray(["x", "y", "z"], new Utf8()),
    at: makeVector(makeData({ type: new TimestampNanosecond(), data: times })),
    sum: makeVector(makeData({ type: new Decimal(-2, 10), data: decimals })),
  });
  using folder = tempFolder();
  const rows: object[] = [];
  const dataset = await openDataset(folder.write("data.arrow", tableToIPC(table, "file")));
  for await (const batch of dataset.batches()) rows.push(...batch.map(({ row }) => row));
  expect(rows).toMatchObject([
    { at: "2023-11-14T22:13:20.124Z", sum: 1200 },
    { at: "2023-11-14T22:13:20.000Z", sum: 0 },
    { at: "1969-12-31T23:59:59.999999Z", sum: 700 },
  ]);
});

test("a byte order mark at the start of a text and far times are read; what JSON cannot hold is named", async () => {
  using folder = tempFolder();
  const texts = {
    instruction: vectorFromArray(["\ufeffWho?"], new Utf8()),
    output: vectorFromArray(["\ufeff"], new Utf8()),
  };
  const rate = async (table: Table) => {
    folder.write("data.arrow", tableToIPC(table, "file"));
    return alpagasus(["rate", "data.arrow", "--judge", "student", "--overwrite"], { cwd: folder.path }); // Arrow is loaded there
  };
  const far = makeVector(
    makeData({ type: new TimestampMicrosecond(), data: BigInt64Array.of(253_402_300_799_999_999n) }),
  );
  expect((await rate(new Table({ ...texts, far }))).code).toBe(0);
  await prepare(folder.path, ["select", "--method", "full", "--arm", "all"]);
  expect(JSON.parse(readFileSync(`${folder.path}/runs/default/arms/all.jsonl`, "utf8"))).toEqual({
    instruction: "\ufeffWho?",
    output: "\ufeff",
    far: "9999-12-31T23:59:59.999999Z",
  });
  const pair = new Struct([new Field("key", new Utf8()), new Field("value", new Int32())]);
  const entries = new Map_(new Field("entries", pair) as never); // its types do not take what it takes
  const m = vectorFromArray([new Map([["k", 1]])], entries as never) as Vector;
  expect((await rate(new Table({ ...texts, m }))).code).toBe(0);
  const twice = new Table({
    ...texts,
    a: vectorFromArray([{ x: 1 }], new Struct([new Field("x", new Int32()), new Field("x", new Int32())])),
  });
  expect((await rate(twice)).stderr).toMatch(
    /data\.arrow \(row 1\): column a: expected entries whose names differ, got "x" twice/,
  );
});
