import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Figure } from "../../src/page/figures.ts";
import { startGroup } from "../../src/python/process-group.ts";
import { nameMetrics } from "../../src/stages/log-figures.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

const figure = (of: string, more: Partial<Figure> = {}): Figure => ({
  part: "comparison",
  of,
  figure: "win_rate",
  value: 0.5,
  ...more,
});

describe("the names of metrics", () => {
  test("are those of the figures, with an interval's ends behind them", () => {
    expect(nameMetrics([figure("a against b (all)", { low: 0.4, high: null, p: 0.02, n: 80 })])).toEqual([
      { name: "comparison/a against b _all_/win_rate", value: 0.5 },
      { name: "comparison/a against b _all_/win_rate.low", value: 0.4 },
      { name: "comparison/a against b _all_/win_rate.p", value: 0.02 },
      { name: "comparison/a against b _all_/win_rate.n", value: 80 },
    ]);
  });

  test("are each of one figure, whatever their letters and lengths, and short enough for MLflow", () => {
    const long = "x".repeat(300);
    const ofs = ["same", "same", "größe", "gröse", "模型", "a?", "a!", long, long, `${long}y`];
    const names = nameMetrics(ofs.map((of) => figure(of, { low: 0.1, high: 0.9 }))).map(({ name }) => name);
    expect(new Set(names).size).toBe(3 * ofs.length);
    expect(names.filter((name) => name.length > 250 || !/^[/\p{L}\p{N}_.\- :]+$/u.test(name))).toEqual([]);
    expect(names).toContain("comparison/größe/win_rate");
  });
});

test("a password in an address that a program prints is in neither its log nor its last words", async () => {
  using folder = tempFolder();
  const lines: string[] = [];
  const address = "http://joe:s3cret@127.0.0.1:9/api and postgresql://u:p@ss@db/x";
  const group = startGroup("sh", ["-c", `echo "failed: ${address}" >&2`], {
    log: `${folder.path}/log.txt`,
    onLine: (line) => void lines.push(line),
  });
  await group.ended;
  const clean = "failed: http://127.0.0.1:9/api and postgresql://db/x";
  expect([lines, group.said]).toEqual([[clean], [clean]]);
  await expect.poll(() => readFileSync(`${folder.path}/log.txt`, "utf8")).toBe(`${clean}\n`);
});
