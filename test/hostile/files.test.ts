import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { comparisonName } from "../../src/comparison/comparison-name.ts";
import { alpagasus, misuse, prepare } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { isLong } from "../helpers/long.ts";
import { startModelServer } from "../helpers/model-server.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/*
 * Folders, files and names that try to harm: each is one line that says what is wrong, exit code 2, at once, with nothing paid and nothing
 * half-written.
 */

let folder: TempFolder;
beforeEach(() => {
  folder = tempFolder();
  folder.write("rows.json", rows(6));
});
afterEach(() => folder[Symbol.dispose]());

const rows = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ instruction: `Say ${i}.`, input: "", output: `It is ${i}.` }));
const pipe = (name: string) => execFileSync("mkfifo", [join(folder.path, name)]);
const deep = (levels: number) => "[".repeat(levels) + "]".repeat(levels);

/** What a command says that it refuses, in one line. */
async function refusal(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const { code, stderr } = await misuse(args, { cwd: folder.path, env });
  expect(stderr.trim().split("\n")).toHaveLength(1);
  expect(stderr).not.toMatch(/unexpected error|^\s+at /m);
  expect(code, stderr).toBe(2);
  return stderr;
}

describe("a pipe where a file is expected is not waited for", () => {
  test.each([
    [["rate", "rows.json", "--judge", "http://127.0.0.1:9/v1#m", "--rubric", "./pipe.yaml"]],
    [["run", "./pipe.yaml"]],
    [["train", "--recipe", "./pipe.yaml", "--dry-run"]],
    [["rate", "rows.json", "--judge", "student:pipe.yaml"]],
  ])("%j", async (args) => {
    pipe("pipe.yaml");
    expect(await refusal(args)).toMatch("expected a file, got a pipe");
  });

  test.each(["run.json", "ratings.jsonl"])("in a run, as %s", async (name) => {
    await prepare(folder.path, ["rate", "rows.json"]);
    execFileSync("rm", [join(folder.path, "runs/default", name)]);
    pipe(`runs/default/${name}`);
    expect(await refusal(["select", "--top", "2"])).toMatch("expected a file, got a pipe");
  });

  test("as .env, which may be no device either", async () => {
    pipe(".env");
    const { code, stderr } = await alpagasus(["status"], { cwd: folder.path });
    expect([code, stderr]).toEqual([0, expect.stringContaining(".env ignored")]);
    execFileSync("rm", [join(folder.path, ".env")]);
    symlinkSync("/dev/zero", join(folder.path, ".env"));
    expect((await alpagasus(["--version"], { cwd: folder.path })).code).toBe(0);
  });
});

describe("text that is made to take time or memory", () => {
  const bomb = Array.from({ length: 9 }, (_, i) =>
    i === 0
      ? `a0: &a0 [x, x, x, x, x, x, x, x, x]`
      : `a${i}: &a${i} [${Array(9)
          .fill(`*a${i - 1}`)
          .join(", ")}]`,
  ).join("\n");

  test("YAML whose aliases repeat each other", async () => {
    folder.write("bomb.yaml", bomb);
    expect(await refusal(["run", "./bomb.yaml"])).toMatch("aliases that repeat each other too often");
    expect(await refusal(["train", "--recipe", "./bomb.yaml", "--dry-run"])).toMatch(
      "aliases that repeat each other too often",
    );
  });

  test("YAML of lists deep inside each other", async () => {
    folder.write("deep.yaml", `name: x\ndata: ${"[".repeat(20_000)}${"]".repeat(20_000)}\n`);
    expect(await refusal(["run", "./deep.yaml"])).toMatch(
      "deep.yaml:2: expected fewer lists and maps inside each other",
    );
  });

  test("YAML of very many keys", async () => {
    folder.write("keys.yaml", Array.from({ length: 100_000 }, (_, i) => `k${i}: 1`).join("\n"));
    expect(await refusal(["run", "./keys.yaml"])).toMatch("expected YAML of at most 512 KB");
  });

  test.each([
    ["without a loop", "{{ range(6000000)|join }}".repeat(4)],
    ["by another name", "{% set r = range %}{{ r(20000000)|join|length }}"],
  ])("a rubric that loops %s", async (_, loop) => {
    folder.write(
      "loop.yaml",
      `name: loop\nversion: 1\ndescription: it loops\nsampling: { temperature: 0, max_output_tokens: 16 }\nscale: { min: 0, max: 5 }\nreply: { format: number }\nuser: '{{ instruction }} {{ input }} {{ output }} ${loop}'\n`,
    );
    await using server = await startModelServer();
    const { code, stdout, stderr } = await alpagasus(
      ["rate", "rows.json", "--judge", server.judge, "--rubric", "./loop.yaml", "--json"],
      { cwd: folder.path },
    );
    expect(stdout + stderr).toMatch(/does it loop|took longer/);
    expect(code).not.toBe(0);
    expect(server.log).toHaveLength(0);
  });

  test("tools as text of 50,000 lists inside each other: the row is unreadable, and others are rated", async () => {
    const row = (tools: string) => ({
      messages: [
        { role: "user", content: "Hello" },
        { role: "assistant", content: "Good day." },
      ],
      tools,
    });
    folder.write("deep.json", [row("[]"), row(deep(50_000)), row("[]")]);
    expect(await refusal(["rate", "deep.json"])).toMatch(
      'expected "tools" of at most 100 objects and lists inside each other',
    );
    await prepare(folder.path, [
      "rate",
      "deep.json",
      "--unreadable",
      "skip",
      "--max-unreadable",
      "50%",
      "--min-coverage",
      "50%",
    ]);
    const states = parseLines(readFileSync(join(folder.path, "runs/default/ratings.jsonl"), "utf8")) as {
      state: string;
    }[];
    expect(states.map(({ state }) => state)).toEqual(["scored", "unreadable", "scored"]);
  });
});

describe("replies that are made to be lost", () => {
  const body = (more: object, choice: object = {}) =>
    JSON.stringify({ choices: [{ message: { content: "4" }, finish_reason: "stop", ...choice }], ...more });

  test.each<[string, string, Record<string, string>]>([
    [
      "ended for a reason that objects have a name of",
      body({}, { finish_reason: "constructor", message: { content: "4\nGood." } }),
      {},
    ],
    ["ended for __proto__", body({}, { finish_reason: "__proto__", message: { content: "4\nGood." } }), {}],
    ["said to be encoded as __proto__", body({}), { "content-encoding": "__proto__" }],
    ...(isLong ? [["in 150,000 pieces", piecesOf(150_000), {}] satisfies [string, string, object]] : []),
  ])("%s: kept, and asked for once", async (_, text, headers) => {
    await using server = await startModelServer({
      answer: () => ({ kind: "raw", status: 200, type: "application/json", body: text }),
      headers: () => headers,
    });
    const args = ["rate", "rows.json", "--judge", server.judge, "--no-check", "--max-attempts", "1"];
    const first = await alpagasus(args, { cwd: folder.path });
    expect(first.code, first.stdout + first.stderr).toBe(0);
    await alpagasus(args, { cwd: folder.path });
    expect(server.log).toHaveLength(6);
  });

  test.runIf(isLong)("an error of 200,000 brackets is a failed row with a reason", async () => {
    await using server = await startModelServer({
      answer: () => ({
        kind: "raw",
        status: 400,
        type: "application/json",
        body: `{"error":{"message":${deep(200_000)}}}`,
      }),
    });
    await alpagasus(["rate", "rows.json", "--judge", server.judge, "--no-check"], { cwd: folder.path });
    const text = readFileSync(join(folder.path, "runs/default/ratings.jsonl"), "utf8");
    expect(text).not.toContain("call stack");
    expect(text).toContain('"state":"failed"');
  });

  test("a server that says the key it was sent: no file and no output has it", async () => {
    const key = "sk-live+AB/cd=Ef_1234567890";
    const encoded = Buffer.from(`user:${key}`).toString("base64");
    let sent: unknown;
    await using server = await startModelServer({
      answer: ({ headers }) => {
        sent = headers["authorization"];
        return {
          kind: "raw",
          status: 200,
          type: "application/json",
          body: JSON.stringify({
            model: `m ${key}`,
            system_fingerprint: key,
            choices: [{ message: { content: `4\n${key} and ${encoded}` }, finish_reason: "stop" }],
          }),
        };
      },
    });
    const env = { ALPAGASUS_API_KEY: key };
    const rated = await alpagasus(["rate", "rows.json", "--judge", server.judge, "--no-check"], {
      cwd: folder.path,
      env,
    });
    expect(sent).toBe(`Bearer ${key}`);
    await alpagasus(["report"], { cwd: folder.path });
    const files = readdirSync(folder.path, { recursive: true, encoding: "utf8", withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"));
    for (const text of [rated.stdout, rated.stderr, ...files]) {
      expect(text).not.toContain(key);
      expect(text).not.toContain(encoded);
    }
  });
});

describe("names", () => {
  test.each(["__proto__", "constructor", "x".repeat(300), "a\u001bb"])(
    "of answers, as %j, are refused",
    async (name) => {
      folder.write("answers.json", rows(3));
      folder.write("others.json", rows(3));
      expect(await refusal(["compare", `${name}=answers.json`, "b=others.json"])).toMatch("NAME=FILE: expected a name");
    },
  );

  test("that objects have of themselves are no columns", async () => {
    expect(await refusal(["rate", "rows.json", "--judge", "column:constructor"])).toMatch(/no row has|column/);
    await prepare(folder.path, ["rate", "rows.json"]);
    expect(await refusal(["select", "--top", "2", "--per", "toString"])).toMatch(/toString/);
  });

  test("of comparisons fit into a file's name", () => {
    const long = comparisonName("a".repeat(100), "b".repeat(100), `http://127.0.0.1:8000/v1#${"模".repeat(200)}`);
    expect(Buffer.byteLength(`${long}.jsonl`)).toBeLessThan(240);
    expect(long).not.toBe(comparisonName("a".repeat(100), "b".repeat(100), "http://127.0.0.1:8000/v1#other"));
    expect(comparisonName("selected", "random", "student")).toBe("selected-vs-random.by.student");
  });
});

describe("somebody else's recipe and folder", () => {
  test.runIf(isLong)("columns may have names of functions", async () => {
    folder.write(
      "named.json",
      rows(6).map((row, i) => ({ ...row, Error: null, Stats: i, random: i, UUID: `u${i}` })),
    );
    const where = `Error is null and "Stats" > 1 and UUID <> 'u3' and random >= 0`;
    await prepare(folder.path, ["rate", "named.json"], ["select", "--top", "6", "--where", where]);
    expect(
      parseLines(readFileSync(join(folder.path, "runs/default/arms/selected.decisions.jsonl"), "utf8")),
    ).toMatchObject([false, false, true, false, true, true].map((kept) => ({ kept })));
    expect(await refusal(["select", "--top", "2", "--where", "random() < 0.5"])).toMatch("got random()");
  });

  test.runIf(isLong)("a folder of data leaves out our runs in it, and no others", async () => {
    for (const name of ["a/p.json", "b/run.json"]) folder.write(`data/${name}`, rows(4)); // a file of data may have that name
    const rate = ["rate", "data", "--run", "data/runs/one"];
    await prepare(folder.path, rate, rate);
    expect(parseLines(readFileSync(join(folder.path, "data/runs/one/ratings.jsonl"), "utf8"))).toHaveLength(8);
  });

  test("a cluster that a recipe names gets no token", async () => {
    folder.write(
      "recipe.yaml",
      "name: x\ndata: rows.json\nrate: { judge: student }\non: ray:http://cluster.example:8265\narms: { selected: { top: 20% }, random: { method: random } }\n",
    );
    expect(
      await refusal(["run", "./recipe.yaml", "--dry-run"], {
        RAY_AUTH_TOKEN: "secret",
      }),
    ).toMatch("RAY_AUTH_TOKEN_CLUSTER_EXAMPLE");
  });

  test.runIf(isLong)("conditions give the same rows every time, and end", async () => {
    await prepare(folder.path, ["rate", "rows.json"]);
    expect(await refusal(["select", "--top", "2", "--where", "random() < 0.5"])).toMatch(
      "the same value every time, got random()",
    );
    expect(await refusal(["select", "--top", "2", "--where", "now() > '2020-01-01'"])).toMatch(
      "the same value every time",
    );
    await prepare(folder.path, ["select", "--top", "2", "--where", "score >= 0 and lower(output) <> 'now()'"]);
    const sampled = "score > (select min(score) from rows using sample 50%)";
    expect(await refusal(["select", "--top", "2", "--where", sampled])).toMatch(/sample/);
    const hidden = "(from query('select random() < 0.5'))";
    expect(await refusal(["select", "--top", "2", "--where", hidden])).toMatch("got query()");
    const nested = `${"exists(select ".repeat(20)}1${")".repeat(20)}`;
    expect(await refusal(["select", "--top", "2", "--where", nested])).toMatch("expected at most 8 queries in it");
  });
});

/** A lawful event stream of many chunks. */
function piecesOf(count: number): string {
  const chunk = `data: ${JSON.stringify({ choices: [{ delta: { content: "" } }] })}\n\n`;
  const last = `data: ${JSON.stringify({ choices: [{ delta: { content: "4" }, finish_reason: "stop" }] })}\n\n`;
  return `${chunk.repeat(count)}${last}data: [DONE]\n\n`;
}
