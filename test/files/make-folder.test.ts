import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeFolder } from "../../src/files/make-folder.ts";
import { alpagasus } from "../helpers/command-line.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

test("makes what is missing, and leaves what is there", () => {
  using folder = tempFolder();
  const path = join(folder.path, "a/b/c");
  makeFolder(path);
  makeFolder(path);
  expect(statSync(path).isDirectory()).toBe(true);
});

test("ends where no folder can be made", () => {
  using folder = tempFolder();
  folder.write("file", "");
  expect(() => makeFolder(join(folder.path, "file/below"))).toThrow("ENOTDIR");
});

test.runIf(existsSync("/proc/self"))("a run below /proc is one line, at once", async () => {
  using folder = tempFolder();
  folder.write("rows.json", [{ instruction: "a", input: "", output: "b" }]);
  const { code, stderr } = await alpagasus(["rate", "rows.json", "--run", "/proc/x/y"], { cwd: folder.path });
  expect(code).toBe(2);
  expect(stderr).toContain("/proc/x: ");
  expect(stderr).toContain("choose another place");
});
