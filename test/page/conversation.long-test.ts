import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWithBrowser, findViolations, startBrowser, type TestBrowser } from "../helpers/browser.ts";
import { alpagasus } from "../helpers/command-line.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* Conversations on the page: turn by turn, with what is long or foreign folded, and hostile text as text. */

const hostile = '<img src=x onerror="window.stolen = true"> \u202eevil';
const rows = [
  {
    messages: [
      { role: "system", content: "You help." },
      { role: "user", content: hostile },
      {
        role: "assistant",
        content: "",
        tool_calls: [{ id: "1", type: "function", function: { name: "look_up", arguments: '{"word": "evil"}' } }],
      },
      { role: "tool", tool_call_id: "1", content: "the tool's long result" },
      { role: "user", content: "And so?" },
      { role: "assistant", content: "So it is.", reasoning_content: "a secret thought" },
    ],
    tools: [{ type: "function", function: { name: "look_up" } }],
  },
  {
    messages: [
      { role: "user", content: "Plain?" },
      { role: "assistant", content: "Plain." },
    ],
  },
];

describeWithBrowser("conversations on the page", () => {
  let folder: TempFolder;
  let browser: TestBrowser;
  beforeAll(async () => {
    folder = tempFolder();
    folder.write("chat.jsonl", rows.map((row) => JSON.stringify(row)).join("\n"));
    await alpagasus(["rate", "chat.jsonl"], { cwd: folder.path });
    await alpagasus(["report"], { cwd: folder.path });
    browser = await startBrowser();
  });
  afterAll(async () => {
    await browser?.[Symbol.asyncDispose]();
    folder?.[Symbol.dispose]();
  });

  const open = async (row: number) =>
    (await browser.open(`${pathToFileURL(`${folder.path}/runs/default/report.html`).href}#/rows?row=${row}`)).page;

  test("stand turn by turn, with tools, their results and reasoning folded", async () => {
    const page = await open(0);
    const panel = page.locator(".panel");
    await expect.poll(() => panel.innerText()).toContain("So it is.");
    const text = await panel.innerText();
    for (const shown of ["You help.", "And so?", "Calls look_up", "Reasoning", "Tools that were offered", "<img src=x"])
      expect(text).toContain(shown);
    for (const folded of ["the tool's long result", "a secret thought"]) expect(text).not.toContain(folded);
    await panel.getByText("Reasoning").click();
    await expect.poll(() => panel.innerText()).toContain("a secret thought");
    expect(text).toContain("U+202E");
    expect(await page.evaluate(() => "stolen" in globalThis)).toBe(false);
    expect(await findViolations(page)).toEqual([]);
  });

  test("of one question stand as a triple", async () => {
    const page = await open(1);
    await expect.poll(() => page.locator(".panel").innerText()).toContain("Instruction");
  });

  test("are in the report's data with all their parts", () => {
    const html = readFileSync(`${folder.path}/runs/default/report.html`, "utf8");
    expect(html).toContain("the tool's long result");
  });
});
