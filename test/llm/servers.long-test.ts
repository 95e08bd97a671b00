import { readFileSync, rmSync, symlinkSync, utimesSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RatingLine } from "../../src/run/ratings-file.ts";
import type { RateSummary } from "../../src/run/records/rating.ts";
import { alpagasus, misuse, startAlpagasus } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { scoreOf, startModelServer, type ModelServer, type ModelServerOptions } from "../helpers/model-server.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* One judge on several servers. */

let folder: TempFolder;
let servers: ModelServer[];
beforeEach(() => {
  folder = tempFolder();
  servers = [];
});
afterEach(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

async function start(options: ModelServerOptions = {}): Promise<ModelServer> {
  const server = await startModelServer(options);
  servers.push(server);
  return server;
}
const nameOf = (...some: readonly { readonly origin: string }[]) =>
  `${some.map(({ origin }) => `${origin}/v1`).join(",")}#test-model`;
const write = (count: number) =>
  folder.write(
    "rows.json",
    Array.from({ length: count }, (_, i) => ({ instruction: `Say ${i}.`, input: "", output: `Answer ${i}` })),
  );
const args = (judge: string, ...more: string[]) => ["rate", "rows.json", "--judge", judge, "--no-check", ...more];

async function rate(judge: string, ...more: string[]) {
  const { code, stdout, stderr } = await alpagasus([...args(judge, ...more), "--json"], { cwd: folder.path });
  expect(stdout, stderr).not.toBe("");
  return { code, summary: JSON.parse(stdout) as RateSummary };
}
const ratings = () => parseLines<RatingLine>(readFileSync(`${folder.path}/runs/default/ratings.jsonl`, "utf8"));
const repliesOf = (some: readonly ModelServer[]) =>
  some.reduce((sum, { replied }) => sum + [...replied.values()].reduce((all, count) => all + count, 0), 0);
const askedTwice = (some: readonly ModelServer[]) => {
  const counts = new Map<string, number>();
  for (const { replied } of some)
    for (const [question, count] of replied) counts.set(question, (counts.get(question) ?? 0) + count);
  return [...counts.values()].filter((count) => count > 1).length;
};

test("calls are shared by those with the fewest in flight: a slow server gets few", async () => {
  write(400);
  const fast = [await start({ latencyMs: () => 10 }), await start({ latencyMs: () => 10 })];
  const slow = await start({ latencyMs: () => 400 });
  const { code, summary } = await rate(nameOf(...fast, slow), "--concurrency", "8");
  expect([code, summary.states]).toEqual([0, { scored: 400 }]);
  expect(askedTwice(servers)).toBe(0);
  expect(repliesOf(fast)).toBeGreaterThan(330);
  expect(Math.min(...fast.map(({ replied }) => replied.size))).toBeGreaterThan(100);
  expect(slow.inFlight.most).toBeLessThanOrEqual(8); // a gate each
  expect(summary.notes.join("\n")).toMatch(/answered by http:\/\/127\.0\.0\.1:\d+\/v1 \(\d+ replies\), /);
});

test("dead and dying servers are left out; all rows are scored, none asked twice beyond those in flight", async () => {
  write(600);
  const dead = await startModelServer();
  await dead[Symbol.asyncDispose](); // its address answers no more
  const living = [await start({ latencyMs: () => 15 }), await start({ latencyMs: () => 15 })];
  const dying = await start({ latencyMs: () => 15 });
  const running = startAlpagasus(args(nameOf(dead, dying, ...living), "--concurrency", "8", "--json"), {
    cwd: folder.path,
  });
  await expect.poll(() => dying.replied.size, { timeout: 60_000 }).toBeGreaterThan(20);
  const inFlight = dying.inFlight.now;
  await dying[Symbol.asyncDispose]();
  const { code, stdout, stderr } = await running.ended;
  expect(code, stderr).toBe(0);
  const summary = JSON.parse(stdout) as RateSummary;
  expect(summary.states).toEqual({ scored: 600 });
  expect(askedTwice(servers)).toBeLessThanOrEqual(inFlight);
  expect(summary.calls!.attempts - 600).toBeLessThanOrEqual(8 + 8 + 20); // those in flight, and one look now and then
  expect(summary.notes.join("\n")).toContain(`without an answer in the end: ${dead.origin}/v1`);
});

test("a server that comes back is asked again", async () => {
  write(300);
  let isDown = true;
  const other = await start({ latencyMs: () => 40 });
  const flaky = await start({
    answer: (asked) => (isDown ? { kind: "status", status: 500, message: "engine died" } : scoreOf(asked)),
    latencyMs: () => 5,
  });
  const running = startAlpagasus(args(nameOf(flaky, other), "--concurrency", "4", "--json"), { cwd: folder.path });
  await expect.poll(() => other.replied.size, { timeout: 60_000 }).toBeGreaterThan(10);
  const asked = flaky.log.length;
  isDown = false;
  const { code, stdout } = await running.ended;
  expect([code, (JSON.parse(stdout) as RateSummary).states]).toEqual([0, { scored: 300 }]);
  expect(asked).toBeLessThanOrEqual(12); // it was left out meanwhile
  expect(flaky.replied.size).toBeGreaterThan(20);
});

test("one without the model, or that refuses the key, is left out and named; all of them stop the run", async () => {
  write(60);
  const right = await start();
  const wrong = await start({ answer: () => ({ kind: "status", status: 404, message: "no such model: test-model" }) });
  const { code, summary } = await rate(nameOf(wrong, right));
  expect([code, summary.states]).toEqual([0, { scored: 60 }]);
  expect(summary.notes.join("\n")).toMatch(
    new RegExp(`${wrong.origin}/v1 was left out: no such model or address \\(.*no such model: test-model`),
  );
  folder.write("rows.json", [{ instruction: "Another row", input: "", output: "not asked before" }]);
  const also = await start({ answer: () => ({ kind: "status", status: 401, message: "who are you" }) });
  const { code: stopped, stderr } = await alpagasus(args(nameOf(wrong, also), "--run", "runs/other"), {
    cwd: folder.path,
  });
  expect([stopped, stderr]).toEqual([2, expect.stringMatching(/no such model|key was not accepted/) as string]);
});

test("a row that a server falls over is given up, and costs no server its place", async () => {
  write(120);
  const answer: NonNullable<ModelServerOptions["answer"]> = (asked) =>
    asked.user.includes("Say 7.") ? { kind: "reset" } : scoreOf(asked);
  const two = [await start({ answer }), await start({ answer })];
  const { summary } = await rate(nameOf(...two), "--min-coverage", "0", "--concurrency", "4");
  expect(summary.states).toEqual({ scored: 119, failed: 1 });
  expect(ratings()[7]).toMatchObject({ state: "failed", detail: expect.stringContaining("gave up after 6") as string });
});

test("replies are kept by the model, not by address: other servers go on, and a key goes to its own host alone", async () => {
  write(50);
  const [first, second, third] = [await start(), await start(), await start()];
  const keys = new Map<ModelServer, Set<string>>();
  for (const server of [second, third]) keys.set(server, new Set());
  await rate(nameOf(first, second));
  write(80);
  const listening = await Promise.all(
    [0, 1].map((i) =>
      start({
        answer: (asked) => {
          keys.get([second, third][i]!)!.add(String(asked.headers["authorization"] ?? "none"));
          return scoreOf(asked);
        },
        latencyMs: () => 20,
      }),
    ),
  );
  const variable = `ALPAGASUS_API_KEY_${new URL(listening[0]!.origin).host.replace(/\W/g, "_")}`;
  const { code, stdout } = await alpagasus([...args(nameOf(...listening), "--overwrite", "--json")], {
    cwd: folder.path,
    env: { [variable]: "sk-of-the-first" },
  });
  const { calls, states } = JSON.parse(stdout) as RateSummary;
  expect([code, states, calls!.stored, calls!.made]).toEqual([0, { scored: 80 }, 50, 30]);
  expect([...keys.get(second)!]).toEqual(["Bearer sk-of-the-first"]);
  expect([...keys.get(third)!]).toEqual(["none"]);
});

const status =
  (code: number, message: string, headers?: Record<string, string>): ModelServerOptions["answer"] & {} =>
  () => ({
    kind: "status",
    status: code,
    message,
    ...(headers && { headers }),
  });

test.each([
  ["429 without end", status(429, "busy")],
  ["429 that asks for an hour", status(429, "busy", { "retry-after": "3600" })],
  ["400 to all", status(400, "bad request")],
  ["a shorter context", status(400, "this exceeds the maximum context length")],
  ["503", status(503, "overloaded")],
])("beside a good server, one with %s costs no row", async (_, answer) => {
  write(80);
  const bad = await start({ answer });
  for (const latencyMs of [20, 700]) {
    const good = await start({ latencyMs: () => latencyMs });
    const run = ["--run", `runs/${latencyMs}`, "--concurrency", "16"];
    const { code, summary } = await rate(nameOf(good, bad).replace("test-model", `m${latencyMs}`), ...run);
    expect([code, summary.states]).toEqual([0, { scored: 80 }]);
  }
  expect(bad.log.length).toBeLessThan(150); // it is left out, and not asked over and over
});

test("where one refuses the key and the other rests, the command waits for that one", async () => {
  write(20);
  let isDown = true;
  const resting = await start({
    answer: (asked) => (isDown ? { kind: "status", status: 500, message: "starting" } : scoreOf(asked)),
  });
  const refusing = await start({ answer: status(401, "who are you"), latencyMs: () => 800 });
  setTimeout(() => (isDown = false), 2_000);
  const { code, summary } = await rate(nameOf(resting, refusing));
  expect([code, summary.states]).toEqual([0, { scored: 20 }]);
});

test("where none answers, the command ends, before a reply and after one", async () => {
  write(200);
  const gone = await Promise.all([startModelServer(), startModelServer()]);
  for (const server of gone) await server[Symbol.asyncDispose]();
  const dead = await alpagasus(args(nameOf(...gone)), { cwd: folder.path });
  expect([dead.code, dead.stderr]).toEqual([
    1,
    expect.stringMatching(/none of its 2 servers answers \(.*ECONNREFUSED|no server/i) as string,
  ]);
  const known = [await start(), await start()]; // the model has answered before
  await rate(nameOf(...known).replace("test-model", "other"), "--run", "runs/known");
  folder.write("rows.json", [{ instruction: "A new row", input: "", output: "not asked before" }]);
  const refusing = [
    await start({ answer: status(404, "no such model") }),
    await start({ answer: status(404, "no such model") }),
  ];
  const refused = await alpagasus(args(nameOf(...refusing).replace("test-model", "other"), "--run", "runs/refused"), {
    cwd: folder.path,
  });
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("no such model") as string]);
});

describe("a list in a file", () => {
  test("of which only servers that refuse are left ends the run, with what is there", async () => {
    write(150);
    const good = await start({ latencyMs: () => 60 });
    const refusing = await start({ answer: status(401, "who are you") });
    folder.write("hosts.txt", `${good.origin}/v1\n${refusing.origin}/v1\n`);
    const running = startAlpagasus(args("servers:hosts.txt#test-model", "--concurrency", "4", "--json"), {
      cwd: folder.path,
    });
    await expect.poll(() => good.replied.size, { timeout: 60_000 }).toBeGreaterThan(10);
    folder.write("hosts.txt", `${refusing.origin}/v1\n`);
    const { code, stdout, stderr } = await running.ended;
    expect(stderr).not.toContain("unsettled");
    const { calls, states } = JSON.parse(stdout) as RateSummary;
    expect([code, calls!.stopped]).toEqual([1, "failure"]);
    expect(states.scored).toBeGreaterThan(10);
  });

  test("that becomes a link to itself is told, and the servers stay", async () => {
    write(120);
    const server = await start({ latencyMs: () => 60 });
    const path = folder.write("hosts.txt", `${server.origin}/v1\n`);
    const running = startAlpagasus(args("servers:hosts.txt#test-model", "--concurrency", "3", "--json"), {
      cwd: folder.path,
    });
    await expect.poll(() => server.replied.size, { timeout: 60_000 }).toBeGreaterThan(10);
    rmSync(path);
    symlinkSync("hosts.txt", path);
    const { code, stdout, stderr } = await running.ended;
    expect(code, stderr).toBe(0);
    expect((JSON.parse(stdout) as RateSummary).notes.join("\n")).toContain("the list of servers was not read again");
  });

  test("is read again when it changes: added servers are used, removed ones get no more", async () => {
    write(500);
    const [first, second] = [await start({ latencyMs: () => 60 }), await start({ latencyMs: () => 60 })];
    folder.write("hosts.txt", `# ours\n${first.origin}/v1\n\n`);
    const running = startAlpagasus(args("servers:hosts.txt#test-model", "--concurrency", "6", "--json"), {
      cwd: folder.path,
    });
    await expect.poll(() => first.replied.size, { timeout: 60_000 }).toBeGreaterThan(20);
    folder.write("hosts.txt", `${second.origin}/v1 # a new one\n`);
    utimesSync(`${folder.path}/hosts.txt`, new Date(), new Date(Date.now() + 5000));
    await expect.poll(() => second.replied.size, { timeout: 60_000 }).toBeGreaterThan(5);
    const before = first.log.length;
    const { code, stdout, stderr } = await running.ended;
    expect(code, stderr).toBe(0);
    expect((JSON.parse(stdout) as RateSummary).states).toEqual({ scored: 500 });
    expect(first.log.length - before).toBeLessThanOrEqual(6);
    expect(askedTwice(servers)).toBe(0);
  });

  test("that is spoilt while it is used leaves the servers as they were, and is told", async () => {
    write(200);
    const server = await start({ latencyMs: () => 50 });
    folder.write("hosts.txt", `${server.origin}/v1\n`);
    const running = startAlpagasus(args("servers:hosts.txt#test-model", "--concurrency", "4", "--json"), {
      cwd: folder.path,
    });
    await expect.poll(() => server.replied.size, { timeout: 60_000 }).toBeGreaterThan(10);
    folder.write("hosts.txt", "not an address\n");
    const { code, stdout } = await running.ended;
    const { states, notes } = JSON.parse(stdout) as RateSummary;
    expect([code, states]).toEqual([0, { scored: 200 }]);
    expect(notes.join("\n")).toContain("the list of servers was not read again: hosts.txt:1: expected an address");
  });
});

test("servers that tell different builds are told of", async () => {
  write(40);
  const raw =
    (build: string): NonNullable<ModelServerOptions["answer"]> =>
    () => ({
      kind: "raw",
      status: 200,
      type: "application/json",
      body: JSON.stringify({
        model: "test-model",
        system_fingerprint: build,
        choices: [{ message: { role: "assistant", content: "4" }, finish_reason: "stop" }],
        usage: { prompt_tokens: 9, completion_tokens: 1 },
      }),
    });
  const two = [await start({ answer: raw("b1") }), await start({ answer: raw("b2") })];
  const { summary } = await rate(nameOf(...two));
  expect(summary.notes.join("\n")).toContain(
    "its servers tell different builds of the model (test-model b1, test-model b2)",
  );
});

test.each([
  ["http://127.0.0.1:1/v1,nowhere#m", 'expected an address such as http://127.0.0.1:8000/v1, got "nowhere"'],
  ["http://127.0.0.1:1/v1,http://127.0.0.1:1/v1/#m", "expected each server once, got http://127.0.0.1:1/v1 again"],
  ["http://127.0.0.1:1/v1,http://127.0.0.1:2/v1", "expected a model after #"],
  ["http://127.0.0.1:1/v1#m,http://127.0.0.1:2/v1#m", "expected the model once, after all addresses"],
  ["servers:.#m", ".: expected a file with the address of a server a line, got another thing"],
  ["servers:gone.txt#m", "gone.txt: expected a file with the address of a server a line, found no such file"],
  ["servers:hosts.txt", "the model's name after #, as in servers:hosts.txt#qwen3"],
  ["servers:empty.txt#m", "empty.txt: expected the address of a server a line"],
  ["servers:bad.txt#m", "bad.txt:2: expected an address"],
])("%s is refused in a line", async (judge, message) => {
  write(2);
  folder.write("empty.txt", "# none\n");
  folder.write("bad.txt", "http://127.0.0.1:1/v1\nftp://x\n");
  const { code, stderr } = await misuse(args(judge), { cwd: folder.path });
  expect([code, stderr]).toEqual([2, expect.stringContaining(message) as string]);
});
