import axe from "axe-core";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import { describe, expect } from "vitest";
import { chromiumPath } from "./chromium.ts";

/*
 * A real Chromium, without a window: the system's, since none is downloaded.
 */

/** A suite that says it is skipped where there is no Chromium. */
export const describeWithBrowser = describe.skipIf(chromiumPath === undefined);

export interface TestBrowser extends AsyncDisposable {
  /** A fresh page, whose requests and complaints are watched. */
  open(url: string, options?: BrowserContextOptions): Promise<WatchedPage>;
}

interface WatchedPage {
  readonly page: Page;
  /** Everything the page asked for. */
  readonly requests: string[];
  /** What its script threw or the browser complained about. */
  readonly complaints: string[];
}

export async function startBrowser(): Promise<TestBrowser> {
  const browser: Browser = await chromium.launch({
    executablePath: chromiumPath!,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  return {
    async open(url, options = {}) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
      const page = await context.newPage();
      const requests: string[] = [];
      const complaints: string[] = [];
      page.on("request", (request) => requests.push(request.url()));
      page.on("pageerror", (error) => complaints.push(error.message));
      page.on("console", (message) => {
        if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
      });
      await page.goto(url);
      await page.waitForSelector("h1, .notice");
      return { page, requests, complaints };
    },
    [Symbol.asyncDispose]: () => browser.close(),
  };
}

/** What an accessibility checker finds wrong, by rule and element. */
export async function findViolations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const violations = await page.evaluate(async () => {
    const found = await (globalThis as unknown as { axe: typeof axe }).axe.run(); // put there by the line above
    return found.violations.flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${target.join(" ")} ${failureSummary ?? ""}`),
    );
  });
  return violations;
}

/** Saves what a click downloads, and gives its name and bytes. */
export async function download(page: Page, click: () => Promise<void>): Promise<{ name: string; bytes: Buffer }> {
  const [saved] = await Promise.all([page.waitForEvent("download"), click()]);
  const chunks: Buffer[] = [];
  for await (const chunk of await saved.createReadStream()) chunks.push(chunk as Buffer); // a stream of bytes
  return { name: saved.suggestedFilename(), bytes: Buffer.concat(chunks) };
}

/** The figure of a fact on the page, by its name: `rows kept`. */
export async function factOf(page: Page, name: string): Promise<string> {
  const fact = page.locator(".fact", { has: page.locator("dt", { hasText: new RegExp(`^${name}$`) }) }).first();
  return (await fact.locator("b").innerText()).trim();
}

/** The cells of a table, by its caption. */
export async function tableOf(page: Page, caption: string): Promise<string[][]> {
  const table = page.locator("table", { has: page.locator("caption", { hasText: caption }) }).first();
  await expect.poll(() => table.locator("tbody tr").count()).toBeGreaterThan(0);
  return table
    .locator("tbody tr")
    .evaluateAll((rows) =>
      rows.map((row) => [...row.children].map((cell) => (cell.textContent ?? "").replace(/\s+/g, " ").trim())),
    );
}
