import { createRequire } from "node:module";
import { readdirSync, writeFileSync } from "node:fs";
import { zstdCompressSync } from "node:zlib";
import { expect, test } from "vitest";
import { readBytes } from "../../src/files/read-bytes.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

const isThere =
  typeof (createRequire(import.meta.url)("node:zlib") as { zstdCompressSync?: unknown }).zstdCompressSync ===
  "function";
const frame = (text: string, settings = {}) => zstdCompressSync(Buffer.from(text), settings);
const skippable = Buffer.concat([Buffer.from([0x57, 0x2a, 0x4d, 0x18, 5, 0, 0, 0]), Buffer.from("notes")]);
const long = Array.from({ length: 60_000 }, (_, i) => `row ${i} ${(i * 7919) % 1000}\n`).join("");

async function read(...parts: Uint8Array[]): Promise<string> {
  using folder = tempFolder();
  const path = `${folder.path}/rows.zst`;
  writeFileSync(path, Buffer.concat(parts));
  const found: Buffer[] = [];
  for await (const chunk of readBytes({ path, compression: "zstd" })) found.push(Buffer.from(chunk));
  return Buffer.concat(found).toString();
}

test.runIf(isThere)("all frames of a file are read, and frames that hold no data are passed over", async () => {
  expect(await read()).toBe("");
  expect(await read(frame("a"), frame("b"), frame(""), frame("c"))).toBe("abc");
  expect(await read(skippable, frame("a"), skippable, frame("b"), skippable)).toBe("ab");
  expect(await read(frame(long), frame("x".repeat(1_000_000)), frame(long))).toBe(
    `${long}${"x".repeat(1_000_000)}${long}`,
  );
});

test.runIf(isThere && process.platform === "linux")("a reader that stops early leaves no file open", async () => {
  using folder = tempFolder();
  const path = `${folder.path}/rows.zst`;
  writeFileSync(path, frame(long));
  const open = () => readdirSync("/proc/self/fd").length;
  const before = open();
  for (let i = 0; i < 10; i++) for await (const _ of readBytes({ path, compression: "zstd" })) break;
  expect(open()).toBeLessThan(before + 5);
});

test.runIf(isThere)("what is no frame, and a file that was cut, are refused", async () => {
  await expect(read(frame("a"), Buffer.from("other bytes"))).rejects.toThrow(
    "expected a zstd frame or the end of the file",
  );
  for (const cut of [1, 3, 5, 9, frame(long).length - 1])
    await expect(read(frame("a"), frame(long).subarray(0, cut)), String(cut)).rejects.toThrow("unexpected end of file");
});
