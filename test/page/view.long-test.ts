import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { RowDetail, RowPage, RunReport } from "../../src/page/contract.ts";
import { packageFolder } from "../../src/package-folder.ts";
import { describeWithBrowser, factOf, findViolations, startBrowser, type TestBrowser } from "../helpers/browser.ts";
import { alpagasus, startAlpagasus } from "../helpers/command-line.ts";
import { startModelServer, scoreOf } from "../helpers/model-server.ts";
import { describeWithSharedData, readSharedJson, sharedData } from "../helpers/shared-data.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";
import { isLong } from "../helpers/long.ts";

const main = fileURLToPath(new URL("../../dist/bin/alpagasus.js", import.meta.url));
const sample = `${packageFolder}samples/alpaca-2000.json`;

interface RunningView {
  readonly url: string;
  readonly port: number;
  readonly child: ChildProcess;
  stderr: string;
}

const running: ChildProcess[] = [];

/** Starts `alpagasus view` as a user does, on any free port. */
/** By port: the first part of every path. */
const bases = new Map<number, string>();

async function startView(cwd: string, ...args: string[]): Promise<RunningView> {
  const child = spawn(process.execPath, [main, "view", "--port", "0", ...args], {
    cwd,
    env: { PATH: process.env["PATH"], NO_COLOR: "1" },
  });
  running.push(child);
  const view = { url: "", port: 0, child, stderr: "" };
  child.stderr.setEncoding("utf8").on("data", (text: string) => (view.stderr += text));
  const [line] = (await Promise.race([once(child.stdout.setEncoding("utf8"), "data"), once(child, "close")])) as [
    string,
  ];
  const [, url = "", port = "0"] = /(http:\/\/127\.0\.0\.1:(\d+)\/[\w-]{22}\/)/.exec(line) ?? [];
  expect(url, view.stderr).not.toBe("");
  bases.set(Number(port), new URL(url).pathname.slice(0, -1));
  return Object.assign(view, { url, port: Number(port) });
}

async function stop(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  child.kill("SIGINT");
  const [code] = (await once(child, "close")) as [number | null];
  return code;
}

afterEach(async () => {
  for (const child of running.splice(0)) await stop(child);
});

async function must(folder: TempFolder, ...args: string[]): Promise<void> {
  const { code, stderr } = await alpagasus(args, { cwd: folder.path });
  expect(stderr).toBe("");
  expect(code).toBe(0);
}

/** A request as no browser would send it. */
function ask(
  port: number,
  path: string,
  { method = "GET", headers = {} }: { method?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; body: string; headers: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: "127.0.0.1", port, path: `${bases.get(port)}${path}`, method, headers },
      (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (text: string) => (body += text));
        response.on("end", () => resolve({ status: response.statusCode!, body, headers: response.headers }));
      },
    );
    sent.on("error", reject);
    sent.end();
  });
}

const json = async <T>(url: string): Promise<T> => (await (await fetch(url)).json()) as T; // the test knows what it asked for

describe("the viewer's server", () => {
  let folder: TempFolder;
  beforeAll(async () => {
    folder = tempFolder();
    await must(folder, "rate", sample);
    await must(folder, "select", "--top", "355");
  });
  afterAll(() => folder[Symbol.dispose]());

  test("answers its own page only, to GET only, and nothing outside the run", async () => {
    const { port } = await startView(folder.path);
    const own = await ask(port, "/");
    expect(own.status).toBe(200);
    expect(own.headers["content-security-policy"]).toContain("default-src 'none'");
    expect(own.headers["access-control-allow-origin"]).toBeUndefined();
    expect(own.headers["x-content-type-options"]).toBe("nosniff");
    expect((await ask(port, "/", { headers: { Host: `localhost:${port}` } })).status).toBe(200);
    for (const path of ["", "api/report", `${"A".repeat(22)}/`, `${"A".repeat(22)}/api/rows`, "%2e%2e/"]) {
      const stranger = await fetch(`http://127.0.0.1:${port}/${path}`);
      expect([stranger.status, await stranger.text()]).toEqual([403, expect.stringContaining("password")]);
    }

    for (const host of [
      "evil.example",
      `evil.example:${port}`,
      "127.0.0.1",
      `127.0.0.1:${port + 1}`,
      `127.0.0.1.evil.example:${port}`,
    ])
      expect(await ask(port, "/api/report", { headers: { Host: host } })).toMatchObject({ status: 421 });
    for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
      expect(await ask(port, "/api/report", { method })).toMatchObject({ status: 405 });
    expect((await ask(port, "/", { method: "HEAD" })).status).toBe(200);
    const foreign = { "Sec-Fetch-Site": "cross-site", Origin: "http://evil.example" };
    expect((await ask(port, "/api/report", { headers: foreign })).status).toBe(403);

    for (const path of [
      "/../run.json",
      "/..%2f..%2fetc/passwd",
      "/%2e%2e/%2e%2e/etc/passwd",
      "//etc/passwd",
      "/api/rows/../../run.json",
      "/api/rows/-1",
      "/api/rows/1e3",
      "/api/rows/99999999",
      "/api/rows/999999999999999999999",
      "/run.json",
      "/api/pair?comparison=..%2f..%2frun&set=a&id=b",
    ]) {
      const { status, body } = await ask(port, path);
      expect([[403, 404].includes(status), path]).toEqual([true, path]); // out of the page's own path, it needs the password
      expect(body).not.toContain("root:");
    }
    for (const query of [
      "limit=1000000",
      "limit=0",
      "offset=-1",
      "sort=score;drop",
      "state=none",
      "atLeast=x",
      "unknown=1",
      `search=${"x".repeat(3000)}`,
      "arm=../x",
      "atLeast=Infinity",
    ]) {
      const { status, body } = await ask(port, `/api/rows?${query}`);
      expect([status, query]).toEqual([query === "arm=../x" ? 409 : 400, query]);
      expect(JSON.parse(body)).toHaveProperty("problem");
    }
  });

  test("ends by Ctrl-C, leaves nothing behind, and says when a port is taken", async () => {
    const view = await startView(folder.path);
    const taken = await alpagasus(["view", "--port", String(view.port)], { cwd: folder.path });
    expect(taken).toMatchObject({
      code: 2,
      stderr: `alpagasus: --port ${view.port}: another program listens there; choose another, or 0 for any free one\n`,
    });
    const mine = () =>
      readdirSync(tmpdir()).filter((name) => new RegExp(`^alpagasus-view-\\w+-${view.child.pid}-`).test(name));
    expect(mine()).toHaveLength(1);
    expect(await stop(view.child)).toBe(0);
    expect(mine()).toEqual([]);

    const killed = await startView(folder.path);
    killed.child.kill("SIGKILL");
    await once(killed.child, "close");
    const left = () =>
      readdirSync(tmpdir()).filter((name) => new RegExp(`^alpagasus-view-\\w+-${killed.child.pid}-`).test(name));
    expect(left()).toHaveLength(1);
    await startView(folder.path);
    expect(left()).toEqual([]);
  });

  test("a run's folder that is deleted under it is said, and comes back", async () => {
    using other = tempFolder();
    other.write(
      "rows.json",
      Array.from({ length: 30 }, (_, i) => ({ instruction: `i ${i}`, input: "", output: `o ${i}` })),
    );
    await must(other, "rate", "rows.json");
    const view = await startView(other.path);
    expect((await json<RunReport>(`${view.url}api/report`)).scores!.rows).toBe(30);
    rmSync(`${other.path}/runs`, { recursive: true });
    await expect.poll(async () => (await ask(view.port, "/api/report")).status).toBe(409);
    expect((await ask(view.port, "/api/report")).body).toContain("found no such folder");
    expect((await ask(view.port, "/api/rows")).status).toBe(409);
    expect((await ask(view.port, "/")).status).toBe(200);
    other.write(
      "rows.json",
      Array.from({ length: 40 }, (_, i) => ({ instruction: `i ${i}`, input: "", output: `o ${i}` })),
    );
    await must(other, "rate", "rows.json");
    await expect.poll(async () => (await json<RunReport>(`${view.url}api/report`)).scores?.rows).toBe(40);
    await expect.poll(async () => (await json<RowPage>(`${view.url}api/rows`)).total).toBe(40);
    expect(view.stderr).toBe("");
  });

  test("its database can be taken away under it", async () => {
    using other = tempFolder();
    other.write(
      "rows.json",
      Array.from({ length: 40 }, (_, i) => ({ instruction: `i ${i}`, input: "", output: `o ${i}` })),
    );
    await must(other, "rate", "rows.json");
    const view = await startView(other.path);
    await expect.poll(async () => (await json<RowPage>(`${view.url}api/rows`)).total).toBe(40);
    for (const name of readdirSync(tmpdir()))
      if (new RegExp(`^alpagasus-view-\\w+-${view.child.pid}-`).test(name))
        rmSync(`${tmpdir()}/${name}`, { recursive: true });
    await must(other, "select", "--top", "5");
    await expect.poll(async () => (await ask(view.port, "/api/rows?arm=selected")).status).toBe(200);
    expect(view.stderr).toBe("");
    expect(await stop(view.child)).toBe(0);
  });

  test("an unchanged report is not sent again", async () => {
    const { url } = await startView(folder.path);
    let tag = "";
    await expect
      .poll(async () => {
        const response = await fetch(`${url}api/report`);
        tag = response.headers.get("ETag")!;
        return ((await response.json()) as RunReport).rows.isReady;
      })
      .toBe(true);
    expect((await fetch(`${url}api/report`, { headers: { "If-None-Match": tag } })).status).toBe(304);
    await must(folder, "select", "--method", "random", "--arm", "another");
    await expect
      .poll(async () => (await fetch(`${url}api/report`, { headers: { "If-None-Match": tag } })).status)
      .toBe(200);
    await expect.poll(async () => (await json<RowPage>(`${url}api/rows?arm=another`)).total).toBe(355);
    const { rows } = await json<RunReport>(`${url}api/report`);
    expect(rows.revision).not.toBe("");
    expect(rows).toMatchObject({ read: 2000, isReady: true, isReading: false });
  });
});

describeWithBrowser("the viewer in a browser", () => {
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(() => browser[Symbol.asyncDispose]());

  test("a rating in progress updates by itself, and what the judge said about a row is there", async () => {
    let latencyMs = 600; // until it has been looked at, however slow this machine is
    await using server = await startModelServer({
      latencyMs: () => latencyMs,
      price: { input: 1, output: 1 },
      answer: (asked) =>
        asked.user.includes("Instruction 7 ")
          ? "I would rather not give a number."
          : asked.user.includes("Instruction 8 ")
            ? { kind: "status", status: 400, message: "no such thing" }
            : `${scoreOf(asked)}\nBecause <b>it is so</b>.`,
    });
    using folder = tempFolder();
    folder.write(
      "rows.json",
      Array.from({ length: 300 }, (_, i) => ({
        instruction: `Instruction ${i} `,
        input: "",
        output: `Output ${i} `.repeat(1 + (i % 20)),
      })),
    );
    const rating = startAlpagasus(
      ["rate", "rows.json", "--judge", server.judge, "--concurrency", "4", "--price", "1/1"],
      { cwd: folder.path },
    );
    await expect.poll(async () => (await alpagasus(["report"], { cwd: folder.path })).code, { interval: 500 }).toBe(0);
    const view = await startView(folder.path);
    const { page, complaints, requests } = await browser.open(view.url);
    await expect.poll(() => page.locator(".working").innerText()).toMatch(/rate is rating: \d+ of 300 rows, \$/);
    await expect
      .poll(() =>
        factOf(page, "rows so far")
          .catch(() => "0")
          .then(Number),
      )
      .toBeGreaterThan(0);
    const early = Number(await factOf(page, "rows so far"));
    expect(early).toBeLessThan(300);
    latencyMs = 5;
    await rating.ended;
    await expect.poll(() => factOf(page, "rows").catch(() => "")).toBe("300");
    expect(await page.locator(".working").count()).toBe(0);
    expect(await factOf(page, "unparsable")).toBe("1");
    await page.locator(".fact a", { hasText: /^1$/ }).first().click();
    await expect.poll(() => page.locator("table.rows tbody tr").count()).toBe(1);
    await page.goto(`${view.url}#/rows?row=7`);
    await expect.poll(() => page.locator(".panel").innerText()).toContain("I would rather not give a number.");
    await page.goto(`${view.url}#/rows?row=9`);
    await expect.poll(() => page.locator(".panel").innerText()).toContain("Because <b>it is so</b>.");
    expect(requests.every((url) => url.startsWith(view.url) || url.startsWith("data:"))).toBe(true);
    expect(complaints).toEqual([]);

    await must(folder, "report");
    const { money } = JSON.parse(readFileSync(`${folder.path}/runs/default/report.json`, "utf8")) as RunReport;
    expect(money!.paidUsd! + money!.perhapsPaidUsd).toBeCloseTo(server.bill.usd, 6);
    const report = await browser.open(`${pathToFileURL(`${folder.path}/runs/default/report.html`).href}#/rows?row=7`);
    await expect.poll(() => report.page.locator(".panel").innerText()).toContain("I would rather not give a number.");
  });

  test("hostile rows are text", async () => {
    using folder = tempFolder();
    const hostile = [
      '<script>document.title = "pwned"</script>',
      '<img src="http://127.0.0.1:9/x.png" onerror="document.title = \'pwned\'">',
      "</script><script>document.title = 'pwned'</script><!--",
      "broken \ud800 half \udc00 and \u0000 zero",
      "\u202eright to left\u202c \u200f marks \u2066isolates\u2069",
      "[link](javascript:document.title='pwned') http://127.0.0.1:9/beacon https://example.org",
      "x".repeat(1_000_000),
      "{{ 7 * 7 }} ${7 * 7} <%= 7 * 7 %>",
      "=cmd|' /C calc'!A0",
      "\u2028line\u2029paragraph\u0007bell\u001b[31mred",
    ];
    folder.write(
      "rows.json",
      hostile.map((text, i) => ({
        instruction: text,
        input: text.slice(0, 50_000),
        output: text,
        category: text.slice(0, 200),
        id: `<b>${i}</b>`,
      })),
    );
    await must(folder, "rate", "rows.json");
    await must(folder, "select", "--top", "5");
    await must(folder, "report");
    const view = await startView(folder.path);
    for (const url of [view.url, pathToFileURL(`${folder.path}/runs/default/report.html`).href]) {
      const { page, requests, complaints } = await browser.open(url);
      await page.goto(`${url}#/rows`);
      await expect.poll(() => page.locator("table.rows tbody tr").count()).toBe(hostile.length);
      expect(await page.locator("main script, main img, main b b").count()).toBe(0);
      for (const row of hostile.keys()) {
        await page.goto(`${url}#/rows?row=${row}`);
        await expect.poll(() => page.locator("#row-heading").innerText()).toBe(`Row ${row}`);
        await expect.poll(() => page.locator(".panel .foreign").count()).toBeGreaterThan(1);
      }
      await page.goto(`${url}#/rows?row=0`);
      await expect
        .poll(() => page.locator(".panel").innerText())
        .toContain('<script>document.title = "pwned"</script>');
      await page.goto(`${url}#/rows?row=3`);
      await expect.poll(() => page.locator(".panel").innerText()).toMatch(/broken .* half .* and/s);
      await page.goto(`${url}#/rows?row=4`);
      await expect.poll(() => page.locator(".panel").innerText()).toContain("U+202E");
      await page.goto(`${url}#/rows?row=6`);
      await expect
        .poll(() => page.locator(".panel").innerText())
        .toMatch(/Show all 1,000,000 characters|more characters/);
      expect(await page.title()).not.toContain("pwned");
      expect(await page.locator("a[href^=javascript], a[href^=http]").count()).toBe(0);
      expect(await findViolations(page)).toEqual([]);
      const overflow = await page.evaluate<number>(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth",
      );
      expect(overflow).toBeLessThanOrEqual(0);
      const origin = url.startsWith("file:") ? "file:" : view.url;
      expect(requests.filter((asked) => !asked.startsWith(origin) && !asked.startsWith("data:"))).toEqual([]);
      expect(complaints).toEqual([]);
    }
  });

  if (isLong)
    describeWithSharedData("on all of Alpaca", () => {
      let folder: TempFolder;
      beforeAll(async () => {
        folder = tempFolder();
        const mini = `recorded:${sharedData("alpaca/ratings.gpt-4o-mini.json")}`;
        await must(folder, "rate", sharedData("alpaca/alpaca_data.json"), "--judge", mini);
        await must(folder, "select", "--min-score", "3");
      });
      afterAll(() => folder[Symbol.dispose]());

      test("every row is found, by score, by text, by length, kept or not", async () => {
        const scores = readSharedJson("alpaca/ratings.gpt-4o-mini.json") as number[];
        const data = readSharedJson("alpaca/alpaca_data.json") as {
          instruction: string;
          input: string;
          output: string;
        }[];
        const view = await startView(
          folder.path,
          "--against",
          `recorded:${sharedData("alpaca/ratings.llama-3.1-8b-instruct.json")}`,
        );
        const { page, complaints } = await browser.open(view.url);
        await expect.poll(() => factOf(page, "rows kept")).toBe("9,131");
        expect(await factOf(page, "share of all rows")).toBe("17.6 %");
        await expect
          .poll(() => page.locator("h2").allInnerTexts())
          .toContain("recorded:…/ratings.gpt-4o-mini.json compared with recorded:…/ratings.llama-3.1-8b-instruct.json");

        const status = page.getByRole("status").last();
        const finds = async (hash: string, count: number) => {
          await page.goto(`${view.url}#/rows?${hash}`);
          await expect.poll(() => status.innerText()).toContain(`${count.toLocaleString("en")} of 52,002 rows`);
        };
        await finds("atLeast=4", scores.filter((score) => score >= 4).length);
        await finds("arm=selected&isKept=false", scores.filter((score) => score < 3).length);
        await finds("arm=selected&reason=below+cut", scores.filter((score) => score < 3).length);
        await page.getByLabel("Arm").selectOption({ label: "kept in selected" });
        await expect
          .poll(() => status.innerText())
          .toContain(`${scores.filter((score) => score >= 3).length.toLocaleString("en")} of 52,002 rows`);
        await finds("shortest=1000", data.filter(({ output }) => output.length >= 1000).length);
        const text = (row: (typeof data)[number]) => `${row.instruction}\n${row.input}\n${row.output}`.toLowerCase();
        await finds("search=photosynthesis", data.filter((row) => text(row).includes("photosynthesis")).length);
        await finds(
          "search=photosynthesis+%22sun+light%22",
          data.filter((row) => text(row).includes("photosynthesis") && text(row).includes("sun light")).length,
        );
        await page.goto(`${view.url}#/rows?row=51999`);
        await expect.poll(() => page.locator(".panel").innerText()).toContain(data[51_999]!.instruction.slice(0, 40));
        await page.reload();
        await expect.poll(() => page.locator("#row-heading").innerText()).toBe("Row 51,999");
        expect((await json<RowDetail>(`${view.url}api/rows/51999`)).outputText.text).toBe(data[51_999]!.output);
        await page.goto(`${view.url}#/rows`);
        await page.getByRole("button", { name: "Last" }).click();
        await expect.poll(() => page.locator("table.rows tbody tr").count()).toBe(2);
        expect(complaints).toEqual([]);
        expect(await findViolations(page)).toEqual([]);
      });
    });
});
