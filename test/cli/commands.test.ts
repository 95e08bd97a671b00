import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { createProgram } from "../../src/cli/program.ts";
import { packageFolder } from "../../src/package-folder.ts";
import { alpagasus, misuse } from "../helpers/command-line.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

const sample = `${packageFolder}samples/alpaca-2000.json`;
const recorded = `recorded:${packageFolder}samples/alpaca-2000.gpt-4o-mini.json`;

describe("the loop, as a user types it", () => {
  it("rates, selects, draws a control, tells the status, distils and rates with the student", async () => {
    using folder = tempFolder();
    const type = (...args: string[]) => alpagasus(args, { cwd: folder.path });

    const rated = await type("rate", sample, "--against", recorded);
    expect(rated).toMatchObject({ code: 0, stderr: "" });
    expect(rated.stdout).toContain("Rated 2,000 rows of");
    expect(rated.stdout).toMatch(
      /Agreement with recorded:.* on 2,000 rows: Spearman 0\.7\d \(95 % interval 0\.\d\d to 0\.\d\d\)/,
    );
    expect(rated.stdout).toContain("ratings  runs/default/ratings.jsonl");

    const selected = await type("select", "--top", "17.75%");
    expect(selected).toMatchObject({ code: 0, stderr: "" });
    expect(selected.stdout).toContain("Kept 355 of 2,000 rows (17.8 %): the 355 best by score");
    expect(selected.stdout).toMatch(/cut at 2\.\d+: 355 rows kept/);
    expect(selected.stdout).toContain("What each threshold would keep");

    const control = await type("select", "--method", "random");
    expect(control.stdout).toContain("Kept 355 of 2,000 rows (17.8 %): 355 rows at random");
    expect(control.stdout).not.toContain("note:");
    const timed = await type("select", "--method", "random", "--full-minutes", "80");
    expect(timed.stdout).toContain("note: --full-minutes and --full-usd: there is no table of thresholds");
    expect((await type("status")).stdout).toContain("ready to train on");

    folder.write("few.json", (JSON.parse(readFileSync(sample, "utf8")) as object[]).slice(0, 300));
    expect((await type("rate", "few.json", "--run", "runs/few")).code).toBe(0);
    const distilled = await type("distill", "--run", "runs/few", "--out", "own.student");
    expect(distilled.code).toBe(0);
    expect(distilled.stdout).toMatch(/Trained a student of student on 300 rows/);
    expect((await type("rate", sample, "--judge", "student:own.student", "--run", "runs/own")).code).toBe(0);
  });

  it("prints a summary as JSON and nothing else with --json", async () => {
    using folder = tempFolder();
    const rated = await alpagasus(["rate", sample, "--json"], { cwd: folder.path });
    expect(JSON.parse(rated.stdout)).toMatchObject({ judge: "student", states: { scored: 2000 }, coverage: 1 });
    const selected = await alpagasus(["select", "--top", "100", "--json"], { cwd: folder.path });
    expect(JSON.parse(selected.stdout)).toMatchObject({ arm: "selected", rows: 100 });
    expect(JSON.parse((await alpagasus(["status", "--json"], { cwd: folder.path })).stdout)).toMatchObject({
      arms: [{ arm: "selected", isStale: false }],
    });
  });

  it("exits with 3 when a gate does not hold", async () => {
    using folder = tempFolder();
    const scores = folder.write(
      "scores.json",
      Array.from({ length: 2000 }, (_, i) => (i % 2 ? null : i % 5)),
    );
    const rated = await alpagasus(["rate", sample, "--judge", `recorded:${scores}`], { cwd: folder.path });
    expect(rated.code).toBe(3);
    expect(rated.stdout).toContain("FAILED coverage: 50.0 % of the rows have a score; at least 95.0 % are wanted");
    expect((await alpagasus(["select", "--min-score", "2", "--min-coverage", "50%"], { cwd: folder.path })).code).toBe(
      0,
    );
  });
});

describe("misuse is one line, exit code 2, and nothing written", () => {
  it.each<[string, string[], RegExp]>([
    ["no command", [], /^Usage: alpagasus/],
    ["an unknown command", ["rat"], /^alpagasus: unknown command 'rat'/],
    [
      "an unknown flag",
      ["rate", sample, "--juge", "student"],
      /^alpagasus: unknown option '--juge' \(Did you mean --judge\?\)\n$/,
    ],
    [
      "an option of one value twice",
      ["select", "--where", "score > 1", "--where", "score > 2"],
      /^alpagasus: --where: expected it once, got it twice \("score > 1" and "score > 2"\); give one value\n$/,
    ],
    ["help of what is no command", ["help", "nope"], /^alpagasus: unknown command 'help'/],
    ["a missing argument", ["rate"], /^alpagasus: missing required argument 'data'\n$/],
    ["one argument too many", ["status", "x"], /^alpagasus: too many arguments for 'status'/],
    ["a missing file", ["rate", "none.json"], /^alpagasus: none.json: no such file, folder or pattern\n$/],
    [
      "a judge that is not known",
      ["rate", sample, "--judge", "gpt"],
      /^alpagasus: --judge: expected student, student:FILE/,
    ],
    [
      "a student that is not there",
      ["rate", sample, "--judge", "student:x.student"],
      /^alpagasus: x.student: no such file/,
    ],
    [
      "a number that is none",
      ["select", "--min-score", "high"],
      /^alpagasus: option '--min-score <score>' argument 'high' is invalid. Expected a number.\n$/,
    ],
    ["a share over 100 %", ["select", "--top", "110%"], /^alpagasus: option '--top <n>' argument '110%' is invalid/],
    [
      "a method that is not known",
      ["select", "--method", "best"],
      /Allowed choices are score, random, longest, full, representative.\n$/,
    ],
    [
      "a field that cannot be mapped",
      ["rate", sample, "--map", "prompt=x"],
      /Expected FIELD=COLUMN, with the fields instruction, input, output, category, id, system, history, reference, messages.\n$/,
    ],
    ["a scale upside down", ["rate", sample, "--scale", "5..0"], /Expected the lowest and the highest score: 0..5.\n$/],
    [
      "select before rate",
      ["select", "--top", "10%"],
      /^alpagasus: runs.default: expected a run with ratings, found none; rate the data first/,
    ],
    [
      "distill without ratings",
      ["distill", sample, "--out", "x.student"],
      /^alpagasus: distill: expected both DATA and --ratings, or neither/,
    ],
    ["distill without a file to write", ["distill"], /^alpagasus: required option '--out <file>' not specified\n$/],
  ])("%s", async (_title, args, message) => {
    using folder = tempFolder();
    const { code, stdout, stderr } = await misuse(args, { cwd: folder.path });
    expect(stderr).toMatch(message);
    expect(stdout).toBe("");
    expect(code).toBe(2);
    expect(existsSync(`${folder.path}/runs`)).toBe(false);
  });
});

describe("hostile text", () => {
  it("never reaches the terminal as control codes", async () => {
    using folder = tempFolder();
    const evil = "\u001b[31mred\u001b]0;title\u0007\u202e";
    const data = folder.write(
      "data.jsonl",
      Array.from(
        { length: 30 },
        (_, i) => `${JSON.stringify({ instruction: evil, output: `o${i}`, category: evil, score: i % 4 })}\n`,
      ).join(""),
    );
    expect((await alpagasus(["rate", data, "--judge", "column:score"], { cwd: folder.path })).code).toBe(0);
    const { stdout } = await alpagasus(["select", "--min-score", "2"], { cwd: folder.path });
    expect(stdout).toContain("\\u001b[31mred");
    const error = await alpagasus(["rate", `no${evil}thing.json`], { cwd: folder.path });
    // oxlint-disable-next-line no-control-regex -- they are what must not be there
    for (const text of [stdout, error.stderr]) expect(text).not.toMatch(/[\u001b\u0007\u202e]/);
  });
});

describe("interruption", () => {
  it("exits with 130 at Ctrl-C and leaves nothing half-written", async () => {
    using folder = tempFolder();
    const row = JSON.stringify({
      instruction: "Count to ten",
      output: "one two three four five six seven eight nine ten ".repeat(20),
    });
    const data = folder.write("data.jsonl", `${row}\n`.repeat(150_000));
    const main = fileURLToPath(new URL("../../dist/bin/alpagasus.js", import.meta.url));
    const child = spawn(process.execPath, [main, "rate", data], {
      cwd: folder.path,
      env: { PATH: process.env["PATH"], NODE_NO_WARNINGS: "1" },
    });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    while (!existsSync(`${folder.path}/runs/default`)) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill("SIGINT");
    expect(await ended).toBe(130);
    expect(stderr).toBe("alpagasus: interrupted; no half-written files were left\n");
    expect(existsSync(`${folder.path}/runs/default/ratings.jsonl`)).toBe(false);
  });
});

describe("help", async () => {
  const context = { signal: new AbortController().signal, command: "alpagasus", exitCode: 0, interruptedWith: 130 };
  const program = await createProgram(context);

  it.each(["", ...program.commands.map((command) => command.name())])("of alpagasus %s", async (name) => {
    const { code, stdout } = await alpagasus(name ? [name, "--help"] : ["--help"]);
    expect(code).toBe(0);
    await expect(stdout).toMatchFileSnapshot(`help/${name || "alpagasus"}.txt`);
  });

  it("tells the version", async () => {
    const own = JSON.parse(readFileSync(`${packageFolder}package.json`, "utf8")) as { version: string };
    expect((await alpagasus(["--version"])).stdout).toBe(`${own.version}\n`);
  });
});
