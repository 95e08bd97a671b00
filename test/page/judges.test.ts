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
    const recorded = [`recorded:${sample}.gpt-4o-mini.json`, "recorded:strict.json"];
    const panel = recorded.flatMap((judge) => ["--judge", judge]);
    const asked = ["--escalate", "20%", "--to", recorded[0]!, "--min-score", "3"];
    await prepare(
      folder.path,
      ["rate", `${sample}.json`, ...panel, "--scale", "0..5", "--run", "runs/panel"],
      ["report", "--run", "runs/panel"],
      ["rate", `${sample}.json`, ...asked, "--run", "runs/asked"],
      ["report", "--run", "runs/asked"],
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
});
