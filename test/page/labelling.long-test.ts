import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { parse } from "csv-parse/sync";
import type { RunReport } from "../../src/page/contract.ts";
import type { LabelState } from "../../src/page/label-state.ts";
import type { LabelsSummary } from "../../src/page/people-labels.ts";
import { describeWithBrowser, findViolations, startBrowser, type TestBrowser } from "../helpers/browser.ts";
import { alpagasus, prepare } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* People label pairs in a real browser, two at once, one of them interrupted by kill -9. */

const main = fileURLToPath(new URL("../../dist/bin/alpagasus.js", import.meta.url));
const running: ChildProcess[] = [];

let folder: TempFolder;
const labelsOf = (name: string) => `${folder.path}/runs/default/labels/long-vs-short.by.people/${name}.jsonl`;

interface Line {
  readonly set: string;
  readonly id: string;
  readonly label: string;
  readonly left: string;
  readonly repeat: boolean;
  readonly undo?: object;
}

beforeAll(async () => {
  folder = tempFolder();
  const answers = (word: string, length: number) =>
    Array.from({ length: 40 }, (_, i) => ({
      id: i,
      set: i < 30 ? "koala" : "vicuna",
      instruction: `Question ${i}, which is <b>hostile</b>`,
      output: `${word} `.repeat(i % 5 === 0 ? length + 3 : length).trim(),
    }));
  folder.write("long.json", answers("lorem", 5));
  folder.write("short.json", answers("ipsum", 4));
  await prepare(folder.path, ["compare", "long.json", "short.json", "--judge", "student"]);
});
afterAll(() => folder[Symbol.dispose]());
afterEach(async () => {
  for (const child of running.splice(0))
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGINT");
      await once(child, "close");
    }
});

async function startLabelling(
  name: string,
  ...args: string[]
): Promise<{ readonly url: string; readonly child: ChildProcess }> {
  const child = spawn(process.execPath, [main, "view", "--port", "0", "--label", name, ...args], {
    cwd: folder.path,
    env: { PATH: process.env["PATH"], NO_COLOR: "1" },
  });
  running.push(child);
  const [line] = (await Promise.race([
    once(child.stdout.setEncoding("utf8"), "data"),
    once(child.stderr.setEncoding("utf8"), "data"),
  ])) as [string];
  const url = /(http:\/\/127\.0\.0\.1:\d+\/[\w-]{22}\/)/.exec(line)?.[1];
  expect(url, line).toBeDefined();
  return { url: url!, child };
}

const ask = async (
  url: string,
  body?: object,
): Promise<{ status: number; state: LabelState & { problem?: string } }> => {
  const sent = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(url, sent);
  return { status: response.status, state: (await response.json()) as LabelState };
};

describeWithBrowser("labelling in the browser", () => {
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(() => browser[Symbol.asyncDispose]());

  /** Labels what is shown: the longer answer, the left one where `isLazy` says so; stops after `most` labels. */
  async function labelBy(url: string, isLazy: (done: number) => boolean, most = Infinity): Promise<void> {
    const { page, complaints } = await browser.open(url);
    for (let done = 0; done < most; done++) {
      const before = await page.locator("main .quiet").first().textContent();
      if ((await page.locator(".two-answers").count()) === 0) break;
      const [left, right] = await page.locator(".two-answers .text").allTextContents();
      await page.keyboard.press(
        isLazy(done) ? "1" : left!.length > right!.length ? "1" : left!.length < right!.length ? "2" : "3",
      );
      await expect.poll(() => page.locator("main .quiet").first().textContent()).not.toBe(before);
    }
    expect(complaints).toEqual([]);
  }

  test("two people at once, one killed in between: nothing is lost, and models stay hidden", async () => {
    const [maria, joe] = [await startLabelling("maria"), await startLabelling("joe")];
    const { page } = await browser.open(maria.url);
    const text = await page.locator("main").textContent();
    expect(text).toContain("maria, 0 of 44 done");
    expect(text).toContain("which is <b>hostile</b>");
    expect(text).not.toMatch(/long|short|student/);
    expect(await findViolations(page)).toEqual([]);
    await page.close();
    await Promise.all([labelBy(maria.url, () => false, 10), labelBy(joe.url, (done) => done % 4 === 0)]);
    maria.child.kill("SIGKILL");
    await once(maria.child, "close");
    expect(parseLines<Line>(readFileSync(labelsOf("maria"), "utf8"))).toHaveLength(10);
    appendFileSync(labelsOf("maria"), '{"a":"long","b":"sho'); // a line that a kill left unfinished
    const again = await startLabelling("maria");
    await labelBy(again.url, () => false);
    const lines = parseLines<Line>(readFileSync(labelsOf("maria"), "utf8"));
    expect(lines).toHaveLength(44);
    expect(new Set(lines.map(({ set, id, repeat }) => `${set} ${id} ${repeat}`)).size).toBe(44);
    expect(lines.filter(({ repeat }) => repeat)).toHaveLength(4);
    expect(lines.every(({ label }) => label === "A")).toBe(true); // the longer answers are all of the first arm
    const { code, stdout } = await alpagasus(["labels", "--json", "--export", "labels.csv"], { cwd: folder.path });
    expect(code).toBe(0);
    const summary = JSON.parse(stdout) as LabelsSummary;
    expect(
      summary.annotators.map(({ annotator, labelled, repeats, consistency }) => [
        annotator,
        labelled,
        repeats,
        consistency.value,
      ]),
    ).toEqual([
      ["joe", 40, 4, expect.any(Number)],
      ["maria", 40, 4, 1],
    ]);
    expect(summary.annotators[1]!.winRate.value).toBe(1);
    expect(summary.pairs).toBe(40);
    expect(summary.majority.win + summary.majority.undecided).toBe(40);
    expect(summary.judges[0]!.sets.map((one) => one.with).toSorted()).toEqual(["koala", "vicuna"]);
    const figures = await alpagasus(["report", "--format", "json"], { cwd: folder.path });
    const report = JSON.parse(figures.stdout) as RunReport;
    expect(report.people).toMatchObject([{ a: "long", b: "short", pairs: 40 }]);
    expect(report.comparisons[0]!.agreement).toMatchObject([{ with: "people", pairs: expect.any(Number) }]);
    expect(report.comparisons[0]!.trust.sentence).not.toContain("no people's labels");
    expect((await alpagasus(["report", "--format", "csv"], { cwd: folder.path })).stdout).toMatch(
      /^people,long against short by people,win_rate,[\d.]+,/m,
    );
    const rows = parse(readFileSync(`${folder.path}/labels.csv`, "utf8"), { columns: true }) as Record<
      string,
      string
    >[];
    expect(rows).toHaveLength(88);
    expect(rows.filter(({ annotator }) => annotator === "maria").every(({ winner }) => winner === "long")).toBe(true);
  });
});

describe("the server of an annotator", () => {
  test("keeps labels, undoes, tells nothing else, and lets no second window label twice", async () => {
    const { url } = await startLabelling("ann");
    const { state } = await ask(`${url}api/label`);
    const { status, state: next } = await ask(`${url}api/label`, {
      key: state.pair!.key,
      choice: "tie",
      note: " both fine ",
      ms: 5,
    });
    expect([status, next.done]).toEqual([200, 1]);
    const twice = await ask(`${url}api/label`, { key: state.pair!.key, choice: "left", ms: 5 });
    expect([twice.status, twice.state.problem]).toEqual([409, expect.stringContaining("labelled in another window")]);
    expect((await ask(`${url}api/undo`, { last: next.last })).state).toMatchObject({
      done: 0,
      pair: { key: state.pair!.key },
    });
    await ask(`${url}api/label`, { key: state.pair!.key, choice: "skip", ms: 5 });
    expect(
      parseLines<Line>(readFileSync(labelsOf("ann"), "utf8")).map(({ label, undo }) => (undo ? "undo" : label)),
    ).toEqual(["tie", "undo", "skip"]);
    expect((await ask(`${url}api/label`, { key: "1", choice: "A" })).status).toBe(400);
    for (const path of ["api/report", "api/rows", "api/pairs"]) expect((await fetch(url + path)).status).toBe(404);
    expect((await fetch(`${new URL(url).origin}/api/label`, { method: "POST" })).status).toBe(405);
  });

  test("all label the same pairs, which the first one settles; mistakes are one line", async () => {
    const misuse = async (...args: string[]) => {
      const { code, stderr } = await alpagasus(args, { cwd: folder.path });
      return [code, stderr.trim()];
    };
    const { child } = await startLabelling("bob");
    expect(await misuse("view", "--label", "bob")).toEqual([
      2,
      expect.stringContaining("bob.jsonl: expected an annotator whom no other process serves, process"),
    ]);
    child.kill("SIGINT");
    await once(child, "close");
    expect(await misuse("view", "--label", "bob", "--sample", "7")).toEqual([
      2,
      expect.stringContaining("--sample: expected 160, which the first annotator settled for all, got 7"),
    ]);
    expect(await misuse("view", "--label", "../x")).toEqual([2, expect.stringContaining("--label: expected a name")]);
    expect(await misuse("view", "--sample", "7")).toEqual([
      2,
      "alpagasus: --sample: expected --label with it, got none; --label ANNOTATOR",
    ]);
    expect(await misuse("view", "--label", "bob", "--arms", "long other")).toEqual([
      2,
      "alpagasus: --arms: expected arms that were compared (long short), got long other",
    ]);
    expect(await misuse("labels", "--export", "x.txt")).toEqual([
      2,
      'alpagasus: --export: expected a name that ends in .csv or .json, got "x.txt"',
    ]);
  });

  test("the judge is measured against what most of several people say", async () => {
    const write = (name: string, label: (i: number) => string) =>
      folder.write(
        `${name}.json`,
        Array.from({ length: 40 }, (_, i) => ({ id: i, set: i < 30 ? "koala" : "vicuna", label: label(i) })),
      );
    write("one", () => "A");
    write("two", (i) => (i < 20 ? "A" : "B"));
    write("three", (i) => (i < 20 ? "B" : "tie"));
    const args = [
      "compare",
      "long.json",
      "short.json",
      "--judge",
      "student",
      "--labels",
      "one.json",
      "two.json",
      "three.json",
      "--json",
    ];
    const { code, stdout } = await alpagasus(args, { cwd: folder.path });
    expect(code).toBe(0);
    const { agreement } = JSON.parse(stdout) as { agreement: { with: string; pairs: number }[] };
    expect(agreement[0]!.with).toBe("one.json, two.json, three.json");
    expect(agreement[0]!.pairs).toBeLessThanOrEqual(20); // from 20 on each says something else: no majority
  });
});
