import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { constraintsOf, pythonFolder } from "../../src/python/uv.ts";

const files = readdirSync(pythonFolder).filter((name) => /^requirements.*\.txt$/.test(name));
const isHashed = (name: string) => readFileSync(join(pythonFolder, name), "utf8").includes("--hash=");
const packages = (text: string) =>
  text
    .split("\n")
    .filter((line) => /^[a-z]/i.test(line))
    .map((line) => /^([\w.-]+)(?:\[[\w,]+\])?(?:==([\w.]+))?/.exec(line)!);

test.each(files.filter((name) => !isHashed(name)))("every package behind %s has its version written down", (name) => {
  const path = join(pythonFolder, name);
  const pinned = packages(readFileSync(constraintsOf(path), "utf8"));
  expect(pinned.length).toBeGreaterThan(4);
  expect(pinned.filter(([, , version]) => version === undefined)).toEqual([]);
  for (const [, wanted, version] of packages(readFileSync(path, "utf8"))) {
    const versions = pinned.filter(([, known]) => known === wanted).map(([, , found]) => found);
    expect(versions, wanted).not.toEqual([]);
    if (version !== undefined) expect(versions, wanted).toEqual([version]);
  }
});

test.each(files.filter(isHashed))("%s names one package by its files' hashes", (name) => {
  const text = readFileSync(join(pythonFolder, name), "utf8");
  expect(packages(text)).toHaveLength(1);
  expect(text.match(/--hash=sha256:[0-9a-f]{64}/g)).toHaveLength(2);
});
