import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { RatingLine } from "../../src/run/ratings-file.ts";
import type { RateSummary } from "../../src/run/records/rating.ts";
import { alpagasus } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/*
 * Judges that measure behind a server. The server is a stand-in: a token a letter, whose probability depends on the letter before. With a real
 * model, test/trainer/likelihood sets them beside the judges of this machine.
 */

type Answer = (path: string, asked: Record<string, unknown>) => { status?: number; body: object } | undefined;

const letters = (text: string) => Array.from(text, (letter) => letter.codePointAt(0)!);
const logprob = (ids: readonly number[], i: number) => -((ids[i]! + 3 * ids[i - 1]!) % 7) / 4 - 0.1;

const answerAsVllm: Answer = (path, asked) => {
  if (path === "/tokenize") {
    return { body: { tokens: letters(asked["prompt"] as string), max_model_len: 400 } };
  }
  if (path === "/classify") {
    const answer = (asked["messages"] as { content: string }[]).at(-1)!.content;
    return { body: { data: [{ probs: [Math.min(answer.length, 90) / 10], num_classes: 1 }] } };
  }
  if (path !== "/v1/completions") return undefined;
  const ids = asked["prompt"] as number[];
  const own = [null, ...ids.slice(1).map((_, i) => logprob(ids, i + 1)), -1];
  return { body: { choices: [{ logprobs: asked["echo"] ? { token_logprobs: own } : null }] } };
};

let folder: TempFolder;
let server: Server;
let address: string;
let asked: string[];
let answer: Answer;

beforeEach(async () => {
  folder = tempFolder();
  folder.write("rows.json", rows);
  asked = [];
  answer = answerAsVllm;
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      asked.push(request.url!);
      const found = answer(request.url!, JSON.parse(body) as Record<string, unknown>);
      response.writeHead(found?.status ?? (found ? 200 : 404), { "content-type": "application/json" });
      response.end(JSON.stringify(found?.body ?? { detail: "Not Found" }));
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  folder[Symbol.dispose]();
});

const rows = Array.from({ length: 12 }, (_, i) => ({
  instruction: `Say ${i}.`,
  input: "",
  output: "Number ".repeat(i % 3 === 2 ? 80 : i + 1).trim(),
}));

async function rate(judge: string, ...args: string[]) {
  const { code, stdout, stderr } = await alpagasus(
    ["rate", "rows.json", "--judge", judge, "--run", "runs/r", "--overwrite", "--min-coverage", "0", ...args],
    { cwd: folder.path },
  );
  return { code, stdout, stderr };
}
const ratings = () =>
  parseLines<RatingLine & { score?: number; detail?: string }>(
    readFileSync(`${folder.path}/runs/r/ratings.jsonl`, "utf8"),
  );

/** The sum of what the stand-in says of the letters from `start` to `end`. */
function nll(text: string, start: number, end: number): [number, number] {
  const ids = letters(text);
  const last = Math.min(ids.length, end);
  let sum = 0;
  for (let i = start; i < last; i++) sum -= logprob(ids, i);
  return [sum, Math.max(0, last - start)];
}

test("sums the probabilities of the answer's tokens alone, within the server's limit; a row is measured once", async () => {
  const { code, stdout, stderr } = await rate(`ifd:${address}#base`, "--json");
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.anything() });
  const limit = 399; // one token of the server's 400 is for the one that it makes
  for (const [i, { likelihood, state }] of ratings().entries()) {
    const { instruction, output } = rows[i]!;
    const start = instruction.length + 1;
    const expected = nll(`${instruction}\n${output}`, start, limit);
    const alone = nll(output, 1, Math.max(limit - start + 1, 1));
    expect(likelihood!.answer![0]).toBeCloseTo(expected[0], 6);
    expect(likelihood!.alone![0]).toBeCloseTo(alone[0], 6);
    expect([likelihood!.answer![1], likelihood!.alone![1]]).toEqual([expected[1], alone[1]]);
    const difficulty = Math.exp(expected[0] / expected[1] - alone[0] / alone[1]);
    expect(state).toBe(difficulty < 1 ? "scored" : "refused");
  }
  const { notes, calls } = JSON.parse(stdout) as RateSummary;
  expect(notes.join("\n")).toContain("4 rows are longer than 1,024 tokens or the server's own limit");
  expect(calls!.made).toBe(12);
  expect(calls!.inputTokens).toBeGreaterThan(12 * 20); // those that were sent, whatever the server tells
  expect(notes.join("\n")).not.toContain("token usage");
  const before = asked.length;
  await rate(`ifd:${address}#base`);
  expect(asked.length).toBe(before);
});

test("rows go to several servers; a plan asks none", async () => {
  folder.write("hosts.txt", `${address}\n`);
  const plan = await rate(`perplexity:servers:hosts.txt#base`, "--dry-run");
  expect(plan.stdout).toContain("12 to make");
  expect(asked).toEqual([]);
  const { code, stderr } = await rate(`perplexity:servers:hosts.txt#base`);
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.anything() });
  expect(ratings().every(({ state }) => state === "scored")).toBe(true);
});

test("a reward model scores conversations, and is checked with known pairs first", async () => {
  const good = await rate(`reward:${address}#rm`, "--no-check", "--json"); // length is no quality
  expect((JSON.parse(good.stdout) as RateSummary).checks).toMatchObject([{ name: "known pairs" }]);
  expect(ratings().map(({ score }) => score)).toEqual(rows.map(({ output }) => Math.min(output.length, 90) / 10));
  answer = (path, body) => (path === "/classify" ? { body: { data: [{ probs: [-2] }] } } : answerAsVllm(path, body));
  const flat = await rate(`reward:${address}#flat`);
  expect(flat.code).toBe(3);
  expect(flat.stderr).toContain("higher in 0 of 12 pairs");
});

test.each<[string, Answer, string[], RegExp]>([
  [
    "a server without the prompt's probabilities, as llama.cpp",
    (path, body) => (path === "/v1/completions" ? { body: { choices: [{ text: "" }] } } : answerAsVllm(path, body)),
    ["perplexity"],
    /expected the probabilities of the prompt's \d+ tokens, got none.* vLLM can; llama\.cpp and providers cannot/,
  ],
  [
    "a server without /tokenize",
    (path, body) => (path === "/tokenize" ? undefined : answerAsVllm(path, body)),
    ["ifd"],
    /expected http:\/\/127\.0\.0\.1:\d+\/tokenize, which is not there/,
  ],
  [
    "a classifier with three classes",
    (path, body) =>
      path === "/classify" ? { body: { data: [{ probs: [0.1, 0.2, 0.7] }] } } : answerAsVllm(path, body),
    ["reward"],
    /expected one score from .*\/classify, got 3; is m a reward model with one output\?/,
  ],
  ["the paper's prompt", answerAsVllm, ["fit", "--template", "alpaca"], /--template alpaca: expected plain or chat/],
  [
    "options of replies",
    answerAsVllm,
    ["fit", "--rubric", "ds2"],
    /--rubric: expected a judge that replies, got fit:http/,
  ],
  [
    "a cluster",
    answerAsVllm,
    ["fit", "--on", "ray:http://127.0.0.1:1"],
    /--on: expected --judge perplexity:MODEL, .* got fit:http/,
  ],
])("%s is told in a line", async (_, other, [kind, ...args], message) => {
  answer = other;
  const { code, stderr } = await rate(`${kind!}:${address}#m`, ...args);
  expect(stderr.trim().split("\n").at(-1)).toMatch(message);
  expect(code).toBe(2);
});

test("in a recipe its rows are scored once, and arms choose by them", async () => {
  folder.write(
    "recipe.yaml",
    `name: served\ndata: rows.json\nrate: { judge: student }\nscores: { ppl: { judge: "perplexity:${address}#base" } }\narms: { hard: { by: ppl, top: 3 } }\n`,
  );
  const run = async (...args: string[]) => alpagasus(["run", "recipe.yaml", ...args], { cwd: folder.path });
  expect((await run("--dry-run")).stdout).toMatch(/score ppl +due +12 calls/);
  expect(asked).toEqual([]);
  const { code, stderr } = await run();
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.anything() });
  const before = asked.length;
  await run();
  expect(asked.length).toBe(before);
});

test("probabilities that are none are asked for again, and are no measurement", async () => {
  answer = (path, body) =>
    path === "/v1/completions"
      ? {
          body: {
            choices: [
              { logprobs: { token_logprobs: (body["prompt"] as number[]).map((__, i) => (i === 0 ? null : "x")) } },
            ],
          },
        }
      : answerAsVllm(path, body);
  const { stderr } = await rate(`fit:${address}#m`, "--max-attempts", "1");
  expect(stderr).toContain("expected the logarithm of a probability for each token");
  answer = answerAsVllm;
  await rate(`fit:${address}#m`, "--retry-failed");
  expect(ratings().every(({ state }) => state === "scored")).toBe(true);
});

test("one row that a server cannot measure fails by itself, and choice 0 is taken wherever it stands", async () => {
  answer = (path, body) => {
    const read = answerAsVllm(path, body);
    if (path !== "/v1/completions") return read;
    const ids = body["prompt"] as number[];
    const [first] = (read!.body as { choices: object[] }).choices;
    const other = { index: 1, logprobs: { token_logprobs: [null, ...ids.slice(1).map(() => -9)] } };
    return { body: { choices: [other, { ...first, index: 0 }] } };
  };
  await rate(`fit:${address}#m`);
  const withOthers = ratings();
  answer = answerAsVllm;
  await rate(`fit:${address}#n`);
  expect(withOthers.map(({ score }) => score)).toEqual(ratings().map(({ score }) => score));
  let index = 0;
  answer = (path, body) => {
    const bad = path === "/classify" && (body["messages"] as { content: string }[]).at(-1)!.content === rows[3]!.output;
    index += bad ? 1 : 0;
    return bad ? { body: { data: [{ probs: [null] }] } } : answerAsVllm(path, body);
  };
  const { code, stderr } = await rate(`reward:${address}#one`, "--no-check", "--max-attempts", "2");
  expect([code, index], stderr).toEqual([0, 1]);
  const again = await rate(`reward:${address}#one`, "--no-check", "--retry-failed"); // only such rows are left
  expect([again.code, index], again.stderr).toEqual([0, 2]);
  expect(ratings().map(({ state }) => state)).toEqual(rows.map((_, i) => (i === 3 ? "failed" : "scored")));
});

test("probabilities of 1 for every token are none", async () => {
  answer = (path, body) =>
    path === "/v1/completions"
      ? {
          body: {
            choices: [
              { logprobs: { token_logprobs: (body["prompt"] as number[]).map((__, i) => (i === 0 ? null : 0)) } },
            ],
          },
        }
      : answerAsVllm(path, body);
  const { code, stderr } = await rate(`fit:${address}#m`);
  expect([code, stderr]).toEqual([2, expect.stringContaining("got 1 for all")]);
});

test("probabilities that are counted otherwise are no measurement", async () => {
  answer = (path, body) =>
    path === "/v1/completions"
      ? {
          body: {
            choices: [{ logprobs: { token_logprobs: [null, null, ...(body["prompt"] as number[]).map(() => -1)] } }],
          },
        }
      : answerAsVllm(path, body);
  const { code, stderr } = await rate(`fit:${address}#m`);
  expect([code, stderr]).toEqual([2, expect.stringContaining("this server counts them otherwise")]);
});

test("calls of tools go as JSON text, and what the chat template leaves out is no score", async () => {
  const call = { type: "function", function: { name: "get", arguments: '{"city":"Rome"}' } };
  folder.write("rows.json", [
    {
      messages: [
        { role: "user", content: "Weather?" },
        { role: "assistant", content: "", tool_calls: [call] },
        { role: "tool", content: "Rain" },
        { role: "assistant", content: "It rains." },
      ],
    },
  ]);
  const types = new Set<string>();
  let isDropping = false;
  answer = (path, body) => {
    const messages = body["messages"] as { role: string; tool_calls?: (typeof call)[] }[] | undefined;
    if (path !== "/tokenize" || !messages) return answerAsVllm(path, body);
    for (const { tool_calls: calls = [] } of messages)
      for (const one of calls) types.add(typeof one.function.arguments);
    const written = messages.filter(({ role }) => !isDropping || role !== "tool");
    return { body: { tokens: letters(JSON.stringify(written)), max_model_len: 4000 } };
  };
  await rate(`fit:${address}#m`, "--template", "chat");
  expect([[...types], ratings()[0]!.state]).toEqual([["string"], "scored"]);
  isDropping = true;
  await rate(`fit:${address}#other`, "--template", "chat");
  expect(ratings()[0]!.detail).toBe("the chat template leaves out the text of a turn of the role tool");
});

test("a budget that ends in the check of a reward model says nothing of the model", async () => {
  const { code, stdout } = await rate(`reward:${address}#rm`, "--price", "1000/1000", "--budget", "0.1");
  expect([code, stdout]).toEqual([4, expect.stringContaining("12 pending")]);
});

test("a provider's model is refused", async () => {
  const { code, stderr } = await rate("ifd:openai:gpt-5-mini");
  expect(stderr).toMatch(/openai:gpt-5-mini: expected a server of your own .* no probabilities of a prompt/);
  expect(code).toBe(2);
});
