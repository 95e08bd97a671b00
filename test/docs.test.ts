import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import { describe, expect, test } from "vitest";
import { createProgram } from "../src/cli/program.ts";
import { packageFolder } from "../src/package-folder.ts";
import { alpagasus } from "./helpers/command-line.ts";
import { tempFolder } from "./helpers/temp-folder.ts";

const pages = ["README.md", "CONTRIBUTING.md", ...readdirSync(join(packageFolder, "docs"))]
  .filter((name) => name.endsWith(".md"))
  .map((name) => (/^[A-Z]/.test(name) ? name : `docs/${name}`));
const read = (page: string) => readFileSync(join(packageFolder, page), "utf8");

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(page: string): Set<string> {
  const headings = read(page)
    .replaceAll(/^```.*?^```/gms, "")
    .matchAll(/^#+ (.+)$/gm);
  return new Set(
    [...headings].map(([, text]) =>
      text!
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

test.each(pages)("every link of %s leads somewhere", (page) => {
  const text = read(page).replaceAll(/^```.*?^```/gms, "");
  const broken = [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link]) => link!)
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [path = "", anchor] = link.split("#", 2);
      const target = path === "" ? page : join(dirname(page), path);
      if (!existsSync(join(packageFolder, target))) return true;
      return anchor !== undefined && !(target.endsWith(".md") && anchorsOf(target).has(anchor));
    });
  expect(broken).toEqual([]);
});

describe("commands in the documentation", async () => {
  const context = { signal: new AbortController().signal, command: "alpagasus", exitCode: 0, interruptedWith: 130 };
  const program = await createProgram(context);
  const commands = new Map(program.commands.map((command) => [command.name(), command]));

  test.each(pages)("%s: commands and options that there are", (page) => {
    const wrong = [...read(page).matchAll(/^```(?:sh|bash|console)?\n(.*?)^```/gms)]
      .flatMap(([, block]) => block!.replaceAll("\\\n", " ").split(/\n| && /))
      .map((line) =>
        line
          .replace(/^\$ /, "")
          .replace(/\s#.*$/, "")
          .trim(),
      )
      .filter((line) => /^(npx )?alpagasus [a-z]/.test(line))
      .flatMap((line) => problemsOf(line, commands));
    expect(wrong).toEqual([]);
  });
});

function problemsOf(line: string, commands: ReadonlyMap<string, Command>): string[] {
  const words = line.replace(/^npx /, "").split(/\s+/);
  const command = commands.get(words[1]!);
  if (!command) return [`${line}: there is no command ${words[1]}`];
  const known = new Set(command.options.flatMap(({ long, short }) => [long, short]));
  return words
    .filter((word) => /^--?[a-z]/.test(word))
    .map((word) => word.replace(/=.*$/, ""))
    .filter((option) => !known.has(option) && option !== "--help")
    .map((option) => `${line}: ${words[1]} has no ${option}`);
}

test("a first session of the README runs as it stands", async () => {
  using folder = tempFolder();
  const rows = JSON.parse(readFileSync(join(packageFolder, "samples/alpaca-2000.json"), "utf8")) as object[];
  folder.write("train.json", rows.slice(0, 400));
  const [, session] = /## A first session\n+```sh\n(.*?)```/s.exec(read("README.md"))!;
  const lines = session!.split("\n").filter((line) => line.startsWith("npx alpagasus"));
  expect(lines.length).toBeGreaterThan(3);
  for (const line of lines) {
    const args = line
      .replace(/\s#.*$/, "")
      .replace("9000", "90") // of 400 rows
      .trim()
      .split(/\s+/)
      .slice(2);
    const { code, stderr } = await alpagasus(args, { cwd: folder.path });
    expect({ line, code, stderr: stderr.split("\n").filter((text) => text.startsWith("alpagasus:")) }).toEqual({
      line,
      code: 0,
      stderr: [],
    });
  }
});
