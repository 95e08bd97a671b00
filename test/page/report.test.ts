import { existsSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatCount, formatShare } from "../../src/format.ts";
import type { EmbeddedReport, RunReport } from "../../src/page/contract.ts";
import type { RatingLine } from "../../src/run/ratings-file.ts";
import { packageFolder } from "../../src/package-folder.ts";
import { keptAt, edgeOf } from "../../web/src/what-if.ts";
import { paperSizeCurve, paperHistogram } from "../../web/src/paper.ts";
import {
  describeWithBrowser,
  download,
  factOf,
  findViolations,
  startBrowser,
  tableOf,
  type TestBrowser,
} from "../helpers/browser.ts";
import { alpagasus, misuse } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { describeWithSharedData, readSharedJson, sharedData } from "../helpers/shared-data.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";
import { isLong, someOf } from "../helpers/long.ts";

/** The colours and widths that pages are looked at in. */
const looks = [
  ["light", 1280],
  ["dark", 400],
  ["dark", 1280],
  ["light", 400],
] as const;

const sample = `${packageFolder}samples/alpaca-2000.json`;
const recorded = `recorded:${packageFolder}samples/alpaca-2000.gpt-4o-mini.json`;

function readReport(folder: TempFolder, run = "runs/default"): RunReport {
  return JSON.parse(readFileSync(`${folder.path}/${run}/report.json`, "utf8")) as RunReport;
}

function readEmbedded(path: string): EmbeddedReport {
  const html = readFileSync(path, "utf8");
  const [, json] = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(html)!;
  return JSON.parse(json!) as EmbeddedReport;
}

const urlOf = (folder: TempFolder, hash = "", run = "runs/default") =>
  `${pathToFileURL(`${folder.path}/${run}/report.html`).href}${hash}`;

/** Runs commands that must succeed. */
async function must(folder: TempFolder, ...args: string[]): Promise<string> {
  const { code, stderr, stdout } = await alpagasus(args, { cwd: folder.path });
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return stdout;
}

describe("report", () => {
  let folder: TempFolder;
  beforeAll(async () => {
    folder = tempFolder();
    await must(folder, "rate", sample, "--against", recorded);
    await must(folder, "select", "--top", "355", "--full-minutes", "80", "--full-usd", "27.31");
    await must(folder, "select", "--method", "random");
    await must(folder, "report");
  });
  afterAll(() => folder[Symbol.dispose]());

  test("says what it wrote, and puts the figures beside the page", async () => {
    const stdout = await must(folder, "report", "--out", "out/mine.html");
    expect(stdout).toContain("out/mine.html");
    expect(existsSync(`${folder.path}/out/mine.json`)).toBe(true);
    const summary = JSON.parse(await must(folder, "report", "--json")) as { rows: number; leftOut: { rows: number } };
    expect(summary.rows + summary.leftOut.rows).toBe(2000);
  });

  test("what any threshold keeps is what select keeps", async () => {
    const { scores } = readReport(folder);
    const ratings = parseLines<RatingLine>(readFileSync(`${folder.path}/runs/default/ratings.jsonl`, "utf8"));
    const own = ratings.map((rating) => (rating.state === "scored" ? rating.score : NaN));
    const table = scores!.thresholds!;
    expect(table.edges.length).toBeGreaterThan(100);
    for (const [i, edge] of table.edges.entries())
      expect(keptAt(table, i).rows).toBe(own.filter((score) => score >= edge).length);
    const [, { whatIf }] = [null, readReport(folder).arms.find(({ arm }) => arm === "selected")!];
    const exact = whatIf.filter(({ threshold }) => table.edges.includes(threshold));
    expect(exact.length).toBeGreaterThan(5);
    for (const row of exact) {
      const kept = keptAt(table, edgeOf(table, row.threshold));
      expect(kept.rows).toBe(row.rows);
      expect(kept.meanPromptLength).toBeCloseTo(row.meanPromptLength, 9);
      expect(kept.meanOutputLength).toBeCloseTo(row.meanOutputLength, 9);
      expect(kept.textShare).toBeCloseTo(row.textShare, 9);
    }
    expect(table.fullMinutes).toBe(80);
    expect(table.fullUsd).toBe(27.31);
  });

  test("carries the figures of report.json", () => {
    const { madeAt: _, ...figures } = readReport(folder);
    const { report: embedded, rows, leftOut } = readEmbedded(`${folder.path}/runs/default/report.html`);
    expect(embedded).toMatchObject(figures);
    expect(rows.length + leftOut.rows).toBe(2000);
  });

  test("the paper's figures are as published", () => {
    expect(paperHistogram.reduce((sum, { count }) => sum + count, 0)).toBe(52_002);
    expect(paperHistogram.filter(({ score }) => score >= 4.5).reduce((sum, { count }) => sum + count, 0)).toBe(9_229);
    expect(paperSizeCurve.find(({ set, rows }) => set === "vicuna" && rows === 9_229)?.winningScore).toBe(1.2125);
  });

  test.each([
    [["report", "--run", "runs/none"], "runs/none: expected a run, found no such folder"],
    [["view", "--run", "runs/none"], "runs/none: expected a run, found no such folder"],
    [["report", "--run", "empty"], "empty: expected a run with something to show, found neither"],
    [["report", "--against", "nothing"], "--against: expected student"],
    [["report", "--against", "openai:gpt-5"], "the model"],
    [["report", "--against", "column:score"], "--against column:score: its scores do not match this run's data"],
    [["report", "--size", "nobody=5"], '--size: expected an arm of this run (selected, random), got "nobody"'],
    [["report", "--size", "selected=5", "--size", "selected=6"], "Expected selected once"],
    [["report", "--out", "page.pdf"], "--out: expected a name that ends in .html"],
    [["report", "--out", "data.html"], "data.json: expected no file or an older report there, got a file that is none"],
    [["report", "--out", "mine.html"], "mine.html: expected no file or an older report there"],
    [["report", "--size", "selected"], "Expected an arm and its rows"],
    [["report", "--size", "selected=0"], "Expected an arm and its rows"],
    [["report", "--out", "in-the-way/x.html"], "in-the-way"],
    [["view", "--port", "70000"], "Expected a port from 0 to 65535"],
    [["view", "--out", "x"], "unknown option"],
    [["report", "extra"], "too many arguments"],
  ])("bad input is one line: %j", async (args, problem) => {
    folder.write("empty/.keep", "");
    folder.write("in-the-way", "a file");
    folder.write("data.json", [{ instruction: "mine" }]);
    folder.write("mine.html", "<p>mine</p>");
    const { code, stderr } = await misuse(args, { cwd: folder.path });
    expect(stderr).toContain(problem);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(code).toBe(2);
  });

  if (isLong)
    test("stays under 3 MB whatever the rows are, and has room for every kind of them", async () => {
      using other = tempFolder();
      const rows = Array.from({ length: 6_000 }, (_, i) => ({
        instruction: `<${"<&\u2028".repeat(300)} ${i}`,
        input: "",
        output: "<".repeat(1_200),
        id: `<${"é".repeat(2_000)}${i}`,
        category: `<${i % 3}>`.repeat(200),
        score: i % 2 ? (i % 100) / 20 : "none",
      }));
      other.write("rows.json", rows);
      expect((await alpagasus(["rate", "rows.json", "--judge", "column:score"], { cwd: other.path })).code).toBe(3); // half are unparsable
      await must(other, "report");
      const path = `${other.path}/runs/default/report.html`;
      expect(statSync(path).size).toBeLessThan(3_000_000);
      const { rows: carried, leftOut } = readEmbedded(path);
      expect(carried.filter(({ state }) => state === "scored").length).toBeGreaterThan(50);
      expect(carried.filter(({ state }) => state !== "scored").length).toBeGreaterThan(50);
      expect(carried.length + leftOut.rows).toBe(6_000);
      expect(leftOut.unscored).toBe(3_000 - carried.filter(({ state }) => state !== "scored").length);
    });

  test.runIf(isLong)("an arm whose files are gone takes nothing else with it", async () => {
    using other = tempFolder();
    other.write(
      "rows.json",
      Array.from({ length: 60 }, (_, i) => ({ instruction: `i ${i}`, input: "", output: "o".repeat(i) })),
    );
    await must(other, "rate", "rows.json");
    await must(other, "select", "--top", "10", "--arm", "first");
    await must(other, "select", "--top", "20", "--arm", "second");
    rmSync(`${other.path}/runs/default/arms/first.decisions.jsonl`);
    const stdout = await must(other, "report");
    expect(stdout).toContain("problem: the decisions of the arm first cannot be shown");
    const { rows } = readEmbedded(`${other.path}/runs/default/report.html`);
    expect(rows).toHaveLength(60);
    expect(rows.filter(({ fates }) => fates["second"] === "kept")).toHaveLength(20);
    expect(rows.filter(({ fates }) => "first" in fates)).toHaveLength(0);
  });

  test.runIf(isLong)("data that is gone is said, and the figures that are known are shown", async () => {
    using other = tempFolder();
    other.write("rows.json", [
      { instruction: "a", input: "", output: "b" },
      { instruction: "c", input: "", output: "d" },
    ]);
    await must(other, "rate", "rows.json");
    other.write("rows.json", [
      { instruction: "a", input: "", output: "changed" },
      { instruction: "c", input: "", output: "d" },
    ]);
    const { code, stdout } = await alpagasus(["report"], { cwd: other.path });
    expect(code).toBe(3);
    expect(stdout).toContain("problem: rows.json: the rated data is changed");
    const { scores, problems } = readReport(other);
    expect(scores!.rows).toBe(2);
    expect(problems.join("\n")).toContain("expected the row that was rated, got another");
  });

  test.runIf(isLong)("a run can be used from another folder, and moved", async () => {
    using other = tempFolder();
    other.write("here/rows.json", [
      { instruction: "a", input: "", output: "b" },
      { instruction: "c", input: "", output: "d" },
    ]);
    const here = `${other.path}/here`;
    for (const args of [
      ["rate", "rows.json"],
      ["select", "--top", "1"],
    ])
      expect((await alpagasus(args, { cwd: here })).code).toBe(0);
    const elsewhere = await alpagasus(["report", "--run", "here/runs/default"], { cwd: other.path });
    expect(elsewhere).toMatchObject({ code: 0, stderr: "" });
    expect(elsewhere.stdout).not.toContain("problem");
    expect(readReport(other, "here/runs/default").rows.isReady).toBe(true);
    expect((await alpagasus(["select", "--top", "2", "--run", "here/runs/default"], { cwd: other.path })).code).toBe(0);
    renameSync(`${here}/runs/default`, `${here}/runs/renamed`);
    const moved = await alpagasus(["report", "--run", "runs/renamed"], { cwd: here });
    expect(moved).toMatchObject({ code: 0 });
    expect(moved.stdout).not.toContain("problem");
  });

  describeWithBrowser("in a browser, from disk", () => {
    let browser: TestBrowser;
    beforeAll(async () => {
      browser = await startBrowser();
    });
    afterAll(() => browser[Symbol.asyncDispose]());

    test("shows the figures of report.json, and asks the network for nothing", async () => {
      const { page, requests, complaints } = await browser.open(urlOf(folder));
      const { scores, arms } = readReport(folder);
      const table = scores!.thresholds!;
      const cut = arms.find(({ arm }) => arm === "selected")!.cut!;
      const kept = keptAt(table, edgeOf(table, cut));
      expect(await factOf(page, "rows")).toBe("2,000");
      expect(await factOf(page, "mean score")).toBe(scores!.mean!.toFixed(2));
      expect(await factOf(page, "rows kept")).toBe(formatCount(kept.rows));
      expect(await factOf(page, "share of all rows")).toBe(formatShare(kept.share));
      expect(await factOf(page, "mean output")).toBe(formatCount(kept.meanOutputLength!));
      expect(await factOf(page, "training time")).toBe("14 min 12 s");
      expect(await factOf(page, "training cost")).toBe("$4.85");
      const { spearman } = scores!.references[0]!.agreement;
      expect(await factOf(page, "agreement")).toBe(
        `${spearman.value!.toFixed(3)} [${spearman.low!.toFixed(3)}, ${spearman.high!.toFixed(3)}]`,
      );
      for (const [threshold, rows, share] of await tableOf(page, "What each threshold would keep")) {
        const wanted = keptAt(table, edgeOf(table, Number(threshold)));
        expect([rows, share]).toEqual([formatCount(wanted.rows), formatShare(wanted.share)]);
      }
      expect(requests.filter((url) => !url.startsWith("file:") && !url.startsWith("data:"))).toEqual([]);
      expect(complaints).toEqual([]);
    });

    test("the threshold moves by keys, by the pointer and by its field, and its link survives a reload", async () => {
      const { page } = await browser.open(urlOf(folder));
      const table = readReport(folder).scores!.thresholds!;
      const handle = page.getByRole("slider", { name: "threshold" });
      const value = async () => Number(await handle.getAttribute("aria-valuenow"));
      const start = table.edges.indexOf(await value());
      await handle.focus();
      await page.keyboard.press("ArrowRight");
      expect(await value()).toBe(table.edges[start + 1]);
      expect(await factOf(page, "rows kept")).toBe(formatCount(keptAt(table, start + 1).rows));
      await page.keyboard.press("PageDown");
      expect(await value()).toBe(table.edges[start + 1 - Math.round(table.edges.length / 20)]);
      await page.keyboard.press("Home");
      expect(await factOf(page, "rows kept")).toBe("2,000");

      const box = (await handle.boundingBox())!;
      await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
      await page.mouse.down();
      await page.mouse.move(box.x + 400, box.y + box.height / 2, { steps: 5 });
      await page.mouse.up();
      const dragged = await value();
      expect(dragged).toBeGreaterThan(table.edges[0]! + 0.5);
      expect(await handle.getAttribute("aria-valuetext")).toContain(`at least ${dragged}`);

      await expect.poll(() => page.url()).toContain(`threshold=${dragged}`);
      await page.reload();
      await page.waitForSelector("h1");
      expect(await value()).toBe(dragged);
      await page.getByRole("spinbutton", { name: "threshold" }).fill("3");
      await page.keyboard.press("Enter");
      expect(await value()).toBe(3);
      const side = async (at: number) =>
        (await page.locator(".examples > div").nth(at).locator(".card-head b").allInnerTexts()).map(Number);
      await expect.poll(async () => Math.min(9, ...(await side(0)))).toBeGreaterThanOrEqual(3);
      expect(Math.max(...(await side(1)))).toBeLessThan(3);
      expect((await side(0)).length).toBeGreaterThan(0);
    });

    test.runIf(isLong)("the paper's histogram can be laid behind", async () => {
      const { page } = await browser.open(urlOf(folder));
      const bars = () => page.locator("figure").first().locator("svg rect").count();
      const before = await bars();
      await page.getByLabel("show the paper's ratings").check();
      expect(await bars()).toBeGreaterThanOrEqual(before + paperHistogram.length);
      await expect.poll(() => page.locator("figure").first().innerText()).toContain("arXiv 2307.08701");
    });

    test.runIf(isLong)("figures can be saved as SVG and PNG, tables as CSV", async () => {
      const { page } = await browser.open(urlOf(folder));
      const svg = await download(page, () =>
        page.getByRole("button", { name: 'Save the figure "Scores by student" as SVG' }).click(),
      );
      expect(svg.name).toBe("scores-by-student.svg");
      const drawing = svg.bytes.toString("utf8");
      expect(drawing).toMatch(/^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
      expect(drawing).not.toContain("var(--");
      const isWellFormed = await page.evaluate<boolean>(
        `new DOMParser().parseFromString(${JSON.stringify(drawing)}, "image/svg+xml").querySelector("parsererror") === null`,
      );
      expect(isWellFormed).toBe(true);
      const png = await download(page, () =>
        page.getByRole("button", { name: 'Save the figure "Scores by student" as PNG' }).click(),
      );
      expect([...png.bytes.subarray(0, 8)]).toEqual([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
      expect(png.bytes.length).toBeGreaterThan(5_000);
      const csv = await download(page, () =>
        page.getByRole("button", { name: 'Save the table "What each threshold would keep" as CSV' }).click(),
      );
      const [header, first] = csv.bytes.toString("utf8").split("\r\n");
      expect(header).toBe(
        'at least,rows,share,"mean prompt, characters","mean output, characters",share of text,"training, share of steps"',
      );
      expect(first).toMatch(/^0,2000,1,/);
    });

    test("rows are searched, filtered and sorted; a row's link survives a reload; one that is not carried is said", async () => {
      const { page } = await browser.open(urlOf(folder, "#/rows"));
      const { rows: carried, leftOut } = readEmbedded(`${folder.path}/runs/default/report.html`);
      const status = page.getByRole("status").last();
      await expect
        .poll(() => status.innerText())
        .toContain(`${formatCount(carried.length)} of ${formatCount(carried.length)} rows`);
      await page.getByLabel("Search").fill("poem");
      const withPoem = carried.filter(({ instructionText, inputText, outputText }) =>
        `${instructionText.text}\n${inputText.text}\n${outputText.text}`.toLowerCase().includes("poem"),
      ).length;
      await expect.poll(() => status.innerText()).toContain(`${withPoem} of `);
      await page.getByLabel("Sort by").selectOption("score, best first");
      await expect.poll(() => page.url()).toContain("sort=score");
      const scores = () => page.locator("table.rows tbody tr td:nth-child(3)").allInnerTexts();
      await expect
        .poll(async () => (await scores()).map(Number).every((score, i, all) => i === 0 || all[i - 1]! >= score))
        .toBe(true);
      await page.locator("table.rows tbody th a").first().click();
      await page.getByRole("heading", { name: /^Row / }).waitFor();
      const heading = await page.getByRole("heading", { name: /^Row / }).innerText();
      await page.reload();
      await page.getByRole("heading", { name: heading }).waitFor();
      await page.keyboard.press("Escape");
      await expect.poll(() => page.url()).not.toContain("row=");
      expect(page.url()).toContain("sort=score"); // the list stays as it was
      const saved = await download(page, () => page.getByRole("button", { name: /^CSV of all/ }).click());
      expect(saved.bytes.toString("utf8").trim().split("\r\n").length).toBeGreaterThan(withPoem);
      if (leftOut.rows > 0) {
        const missing = Array.from({ length: 2000 }, (_, i) => i).find(
          (i) => !carried.some(({ index }) => index === i),
        );
        await page.goto(urlOf(folder, `#/rows?row=${missing}`));
        await expect.poll(() => page.locator(".panel").innerText()).toContain("carries a sample of the rows");
      }
    });

    test.runIf(isLong)("tells where the figures come from, and the commands that make them again", async () => {
      const { page } = await browser.open(urlOf(folder, "#/provenance"));
      const text = await page.locator("main").innerText();
      expect(text).toContain(readReport(folder).dataset!.hash);
      expect(text).toContain("alpagasus select --top 355 --full-minutes 80 --full-usd 27.31");
      expect(text).toContain("100.0 % of the rows have a score");
      expect(text).toContain("What this report leaves out");
    });

    test.each(someOf(looks))(
      "an accessibility checker finds nothing in %s colours at %i pixels, and nothing is wider than the page",
      async (colorScheme, width) => {
        const { page, complaints } = await browser.open(urlOf(folder), {
          colorScheme,
          viewport: { width, height: 900 },
        });
        for (const view of ["#/scores", "#/rows?sort=score&isDescending=true", "#/rows?row=0", "#/provenance"]) {
          await page.goto(urlOf(folder, view));
          await page.waitForSelector("main h2, main h3");
          await expect.poll(() => page.locator("main").innerText()).not.toContain("Reading the run");
          expect(await findViolations(page)).toEqual([]);
          const overflow = await page.evaluate<number>(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth",
          );
          expect(overflow).toBeLessThanOrEqual(0);
        }
        expect(complaints).toEqual([]);
      },
    );

    test.runIf(isLong)("the colours can be turned, and stay turned", async () => {
      const { page } = await browser.open(urlOf(folder), { colorScheme: "light" });
      const back = () => page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
      const light = await back();
      await page.getByRole("button", { name: "dark colours" }).click();
      await expect.poll(back).not.toBe(light);
      await page.reload();
      await page.waitForSelector("h1");
      await expect.poll(back).not.toBe(light);
    });
  });
});

if (isLong)
  describeWithSharedData("reports of real data", () => {
    test("all of Alpaca is under 3 MB, and every row without a score is in it first", async () => {
      using folder = tempFolder();
      const ratings = readSharedJson("alpaca/ratings.gpt-4o-mini.json") as number[];
      const withGaps = ratings.map((score, i) => (i % 200 === 0 ? 99 : score)); // off the scale: unparsable
      folder.write("scores.json", withGaps);
      await must(
        folder,
        "rate",
        sharedData("alpaca/alpaca_data.json"),
        "--judge",
        "recorded:scores.json",
        "--scale",
        "0..5",
      );
      await must(folder, "select", "--min-score", "3");
      await must(folder, "report", "--against", `recorded:${sharedData("alpaca/ratings.llama-3.1-8b-instruct.json")}`);
      const path = `${folder.path}/runs/default/report.html`;
      expect(statSync(path).size).toBeLessThan(3_000_000);
      const { rows, leftOut, report } = readEmbedded(path);
      expect(leftOut.unscored).toBe(0);
      expect(rows.filter(({ state }) => state === "unparsable")).toHaveLength(261);
      expect(rows.length + leftOut.rows).toBe(52_002);
      const table = report.scores!.thresholds!;
      expect(table.edges).toEqual([0, 1, 2, 3, 4, 5]);
      expect(keptAt(table, 3).rows).toBe(withGaps.filter((score) => score >= 3 && score <= 5).length);
      expect(report.scores!.references[0]!.agreement.spearman.value).toBeCloseTo(0.29, 1);
      const total = report.scores!.references[0]!.grid.counts.flat().reduce((sum, count) => sum + count, 0);
      expect(total).toBe(52_002 - 261);
    });
  });

describeWithSharedData("published reviews, counted again", () => {
  let folder: TempFolder;
  const reviews = (names: string[]) => names.map((name) => sharedData(`reviews/${name}.json`));
  beforeAll(async () => {
    folder = tempFolder();
    const alpagasus2 = [
      "alpagasus2-alpaca2-koala",
      "alpaca2-alpagasus2-koala",
      "alpagasus2-alpaca2-vicuna",
      "alpaca2-alpagasus2-vicuna",
    ];
    await must(folder, "compare", "--reviews", ...reviews(alpagasus2), "--run", "runs/pub");
    const cherry = ["vicuna", "koala", "sinstruct"].map((set) => `cherry_5pct-VS-alpaca_${set}_gpt4`);
    await must(folder, "compare", "--reviews", ...reviews(cherry), "--run", "runs/pub");
    await must(folder, "report", "--run", "runs/pub", "--size", "alpagasus2=9229");
  });
  afterAll(() => folder[Symbol.dispose]());

  test("are kept in a run, and not replaced unasked", async () => {
    const again = [
      "compare",
      "--reviews",
      ...reviews(["alpagasus2-alpaca2-koala", "alpaca2-alpagasus2-koala"]),
      "--run",
      "runs/pub",
    ];
    const { code, stderr } = await alpagasus(again, { cwd: folder.path });
    expect(code).toBe(2);
    expect(stderr).toContain("holds another comparison of alpagasus2 and alpaca2");
    const { comparisons } = readReport(folder, "runs/pub");
    expect(comparisons.map(({ sentence }) => sentence)).toEqual([
      "alpagasus2 is better than alpaca2: 134 wins, 109 ties, 17 losses (p < 0.001). This is not to be trusted.", // GPT-3.5 contradicts itself in 40 % of these pairs
      "cherry_5pct is better than alpaca: 240 wins, 112 ties, 160 losses (p < 0.001).",
    ]);
  });

  describeWithBrowser("in a browser, from disk", () => {
    let browser: TestBrowser;
    beforeAll(async () => {
      browser = await startBrowser();
    });
    afterAll(() => browser[Symbol.asyncDispose]());

    test("the verdict shows the published counts, with what weakens them beside", async () => {
      const { page, complaints, requests } = await browser.open(urlOf(folder, "", "runs/pub"));
      const [comparison] = readReport(folder, "runs/pub").comparisons;
      expect(await page.getByRole("heading", { name: comparison!.sentence }).count()).toBe(1);
      const rows = await tableOf(page, "Results by test set");
      expect(rows.map((cells) => cells.slice(0, 6))).toEqual([
        ["koala", "180", "94", "71", "15", "0"],
        ["vicuna", "80", "40", "38", "2", "0"],
        ["pooled", "260", "134", "109", "17", "0"],
      ]);
      for (const [i, { orders, winningScore, winRate, length }] of [
        ...comparison!.sets,
        comparison!.pooled,
      ].entries()) {
        expect(rows[i]![6]).toContain(formatShare(orders.flipRate.value!));
        expect(rows[i]![7]).toBe(
          `${winningScore.value!.toFixed(3)} [${winningScore.low!.toFixed(3)}, ${winningScore.high!.toFixed(3)}]`,
        );
        expect(rows[i]![8]).toContain(formatShare(winRate.value!));
        expect(rows[i]![9]).toContain(formatShare(length!.controlledWinRate.value!));
      }
      expect(await factOf(page, "flip rate")).toContain("40.4 %");
      const titles = await page.locator("figcaption").allInnerTexts();
      expect(titles).toEqual([
        "Wins, ties and losses",
        "Winning score",
        "Win rate, as counted and at equal length",
        "Winning score against alpaca2, by training-set size",
      ]);
      await page.getByRole("button", { name: /cherry_5pct against alpaca/ }).click();
      expect((await tableOf(page, "Results by test set")).at(-1)!.slice(0, 5)).toEqual([
        "pooled",
        "512",
        "240",
        "112",
        "160",
      ]);
      expect(complaints).toEqual([]);
      expect(requests.filter((url) => !url.startsWith("file:") && !url.startsWith("data:"))).toEqual([]);
    });

    test("pairs: contradictory ones are a click away; both answers and replies stand side by side", async () => {
      const { page } = await browser.open(urlOf(folder, "", "runs/pub"));
      await page.getByRole("link", { name: "show the contradictory pairs" }).click();
      const status = page.getByRole("status").last();
      await expect.poll(() => status.innerText()).toContain("105 pairs"); // 40.4 % of 260
      await page.locator("table.rows tbody th a").first().click();
      const panel = page.locator(".panel");
      await expect.poll(() => panel.locator("mark").count()).toBeGreaterThan(1);
      const text = await panel.innerText();
      expect(text).toContain("contradict each other");
      expect(text).toContain("alpagasus2 shown first: ");
      expect(text).toContain("alpaca2 shown first: ");
      expect(await panel.locator(".card").count()).toBe(4);
      const heading = await page.locator("#pair-heading").innerText();
      await page.reload();
      await expect.poll(() => page.locator("#pair-heading").innerText()).toBe(heading);
      await page.getByLabel("mark where they differ").uncheck();
      expect(await panel.locator("mark").count()).toBe(0);
    });

    test.each(someOf(looks))(
      "an accessibility checker finds nothing in %s colours at %i pixels, and nothing is wider than the page",
      async (colorScheme, width) => {
        const { page } = await browser.open(urlOf(folder, "", "runs/pub"), {
          colorScheme,
          viewport: { width, height: 900 },
        });
        expect(await findViolations(page)).toEqual([]);
        await page.goto(urlOf(folder, "#/pairs?orders=flipped", "runs/pub"));
        await page.locator("table.rows tbody th a").first().click();
        await expect.poll(() => page.locator(".panel mark").count()).toBeGreaterThan(1);
        expect(await findViolations(page)).toEqual([]);
        const overflow = await page.evaluate<number>(
          "document.documentElement.scrollWidth - document.documentElement.clientWidth",
        );
        expect(overflow).toBeLessThanOrEqual(0);
      },
    );
  });
});
