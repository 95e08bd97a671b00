import {
  Decimal,
  Table,
  TimestampNanosecond,
  Utf8,
  makeData,
  makeVector,
  tableToIPC,
  vectorFromArray,
} from "apache-arrow";
import { expect, test } from "vitest";
import { openDataset } from "../../src/dataset/open.ts";
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
