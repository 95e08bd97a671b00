import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { packageFolder } from "../../src/package-folder.ts";
import {
  describeWithBrowser,
  factOf,
  findViolations,
  startBrowser,
  tableOf,
  type TestBrowser,
} from "../helpers/browser.ts";
import { prepare } from "../helpers/command-line.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

describeWithBrowser("the page of several judges", () => {
  const sample = `${packageFolder}samples/alpaca-2000`;
  let folder: TempFolder;
  let browser: TestBrowser;

  beforeAll(async () => {
    folder = tempFolder();
    browser = await startBrowser();
    const scores = JSON.parse(readFileSync(`${sample}.gpt-4o-mini.json`, "utf8")) as number[];
    folder.write(
      "strict.json",
      scores.map((score, i) => (i % 3 === 0 ? Math.max(0, score - 1) : score)),
    );
    folder.write(
      "columns.jsonl",
      scores
        .map((score, index) => JSON.stringify({ index, strict: score - (index % 2), length: index % 97 }))
        .join("\n"),
    );
    const recorded = [`recorded:${sample}.gpt-4o-mini.json`, "recorded:strict.json"];
    const panel = recorded.flatMap((judge) => ["--judge", judge]);
    const asked = ["--escalate", "20%", "--to", recorded[0]!, "--min-score", "3"];
    await prepare(
      folder.path,
      ["rate", `${sample}.json`, ...panel, "--scale", "0..5", "--run", "runs/panel"],
      ["report", "--run", "runs/panel"],
      ["rate", `${sample}.json`, ...asked, "--run", "runs/asked"],
      ["report", "--run", "runs/asked"],
      ["rate", `${sample}.json`, "--run", "runs/several"],
      ["rate", `${sample}.json`, "--judge", recorded[0]!, "--as", "mini", "--run", "runs/several"],
      ["rate", `${sample}.json`, "--judge", "recorded:columns.jsonl", "--as", "oda", "--run", "runs/several"],
      ["select", "--top", "200", "--run", "runs/several", "--watch", "python|list"],
      ["select", "--top", "200", "--by", "oda.length", "--arm", "long", "--run", "runs/several", "--watch", "python"],
      ["report", "--run", "runs/several"],
    );
  });
  afterAll(async () => {
    await browser[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  it("shows each judge, how far they agree, and what is corrected", async () => {
    const { page, complaints } = await browser.open(
      `${pathToFileURL(`${folder.path}/runs/panel/report.html`).href}#/scores`,
    );
    const [agreement] = await tableOf(page, "How far the judges agree");
    expect(agreement).toEqual([
      "judge 1 and judge 2",
      "2,000",
      expect.stringMatching(/^0\.9/),
      expect.stringMatching(/^0\.8/),
    ]);
    expect(await tableOf(page, "Agreement before and after")).toHaveLength(2);
    expect((await tableOf(page, "Rows that the judges disagree about most"))[0]!.slice(1)).toEqual(["1", "0"]);
    expect(await findViolations(page)).toEqual([]);
    expect(complaints).toEqual([]);
  });

  it("shows what asking where the student is not sure has come to", async () => {
    const { page, complaints } = await browser.open(
      `${pathToFileURL(`${folder.path}/runs/asked/report.html`).href}#/scores`,
    );
    expect(await factOf(page, "rows escalated")).toBe("400");
    expect(await factOf(page, "precision")).toMatch(/^9\d\.\d % \[\d+\.\d %, \d+\.\d %\]$/);
    expect(await findViolations(page)).toEqual([]);
    expect(complaints).toEqual([]);
  });

  it("shows several scores of the rows, how they agree, what arms share and what becomes of words", async () => {
    const { page, complaints } = await browser.open(
      `${pathToFileURL(`${folder.path}/runs/several/report.html`).href}#/scores`,
    );
    const matrix = await tableOf(page, "Spearman's rank correlation of each two scores");
    expect(matrix.map(([name]) => name)).toEqual(["score", "score.fits", "mini", "oda.strict", "oda.length"]);
    expect(matrix[0]!.slice(1)).toEqual([
      "",
      expect.stringMatching(/^0\.\d/),
      expect.stringMatching(/^0\.7/),
      expect.stringMatching(/^0\.6/),
      expect.stringMatching(/^-?0\.0/),
    ]);
    const [shared] = await tableOf(page, "Rows that each two arms share");
    expect(shared!.slice(0, 1)).toEqual(["selected and long"]);
    const words = await tableOf(page, "Rows with each word");
    expect(words.map(([word]) => word)).toEqual(["python", "list"]);
    expect(words[1]!.at(-1)).toBe("–"); // the arm "long" was not asked about it
    expect(await page.$$eval("h2", (heads) => heads.map(({ textContent }) => textContent))).toContain(
      "student compared with oda.strict",
    );
    expect(await findViolations(page)).toEqual([]);
    expect(complaints).toEqual([]);
  });
});
