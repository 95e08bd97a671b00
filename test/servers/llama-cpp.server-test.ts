import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AnswersSummary } from "../../src/run/records/answers.ts";
import type { ComparisonSummary } from "../../src/run/records/comparison.ts";
import type { RateSummary } from "../../src/run/records/rating.ts";
import { alpagasus, startAlpagasus } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";
import { freePort } from "../helpers/free-port.ts";
import { hasWheel, packages, startServer, unpack, type RealServer } from "./real-server.ts";

/* llama.cpp's own server with SmolLM2, alone and behind LiteLLM's proxy. `npm run test:servers` */

const script = fileURLToPath(new URL("llama_server.py", import.meta.url));
const canRun = hasWheel(packages.llamaCpp);
let folder: TempFolder;
let server: RealServer;
let judge = "";

const start = (port: number) =>
  startServer([packages.llamaCpp], ["python", script, `${folder.path}/package`, String(port)], {
    port,
    healthPath: "/health",
  });

interface Line {
  readonly state: string;
  readonly score?: number;
  readonly written?: number;
  readonly missing?: number;
}

const rows = Array.from({ length: 24 }, (_, i) => ({
  instruction: `Add ${i} and ${i + 3}.`,
  input: "",
  output: `The sum is ${2 * i + 3}.`,
}));

const masterKey = "sk-0123456789abcdef0123456789abcdef"; // of the proxy, which starts with none shorter

async function run<Result>(...args: string[]): Promise<Result> {
  const env = { ALPAGASUS_API_KEY_127_0_0_1: masterKey };
  const { code, stdout, stderr } = await alpagasus([...args, "--json"], { cwd: folder.path, env });
  expect([code, stderr], stderr).toEqual([expect.toBeOneOf([0, 3]), expect.anything()]);
  return JSON.parse(stdout) as Result;
}

const readRatings = (name: string) =>
  parseLines<Line>(readFileSync(`${folder.path}/runs/${name}/ratings.jsonl`, "utf8"));

beforeAll(async () => {
  if (!canRun) return;
  folder = tempFolder();
  folder.write("rows.json", rows.slice(0, 8));
  folder.write("many.json", rows);
  unpack(packages.smollm2, `${folder.path}/package`);
  server = await start(await freePort());
  judge = `http://127.0.0.1:${server.port}/v1#smollm2`;
});
afterAll(async () => {
  await server?.kill();
  folder?.[Symbol.dispose]();
});

describe.skipIf(!canRun)(`llama.cpp (${packages.llamaCpp})`, () => {
  test("scores by a JSON rubric, whose schema becomes a grammar", async () => {
    const summary = await run<RateSummary>(
      "rate",
      "rows.json",
      "--judge",
      judge,
      "--rubric",
      "ds2",
      "--no-check",
      "--run",
      "runs/json",
    );
    expect(summary.states).toMatchObject({ scored: 8 });
    for (const { score } of readRatings("json"))
      expect(Number.isInteger(score) && score! >= 0 && score! <= 10).toBe(true);
    expect(summary.calls).toMatchObject({ made: 8, attempts: 8 });
  });

  test("expected scores are means over what the grammar allows", async () => {
    await run<RateSummary>(
      "rate",
      "rows.json",
      "--judge",
      judge,
      "--rubric",
      "ds2",
      "--logprobs",
      "--no-check",
      "--run",
      "runs/expected",
    );
    const lines = readRatings("expected");
    expect(lines.filter(({ state }) => state === "scored").length).toBeGreaterThanOrEqual(7);
    const scored = lines.filter(({ state }) => state === "scored");
    expect(scored.some(({ score, written }) => score !== written)).toBe(true);
    for (const { score } of scored) expect(score! >= 0 && score! <= 10).toBe(true);
  });

  test("answers through --endpoint, and judges pairs in both orders", async () => {
    const animals = ["dog", "horse", "whale", "spider", "goose"]; // a story is longer than 8 tokens: no two answers are alike
    const prompts = animals.map((animal, id) => ({
      id,
      set: "stories",
      instruction: `Tell a story about a ${animal} in three sentences.`,
      input: "",
    }));
    folder.write("stories.json", prompts);
    const endpoint = [
      "--endpoint",
      `http://127.0.0.1:${server.port}/v1`,
      "--run",
      "runs/pairs",
      "--tests",
      "stories.json",
    ];
    for (const name of ["short", "long"]) {
      const tokens = name === "short" ? "8" : "40";
      const answers = await run<AnswersSummary>("generate", ...endpoint, "--name", name, "--max-output-tokens", tokens);
      expect(answers.sets).toMatchObject([{ set: "stories", prompts: 5 }]);
    }
    const { code, stdout } = await alpagasus(
      ["compare", "long", "short", "--judge", judge, "--run", "runs/pairs", "--json"],
      { cwd: folder.path },
    );
    expect([0, 3]).toContain(code); // so small a model gives few verdicts that can be read; each has a state
    const compared = JSON.parse(stdout) as ComparisonSummary;
    const { win, tie, lose, undecided } = compared.pooled.counts;
    expect(win + tie + lose + undecided).toBe(5);
    expect(compared.calls).toMatchObject({ made: 10 });
  });

  test("killed in the middle and started again: every row is scored, and none is lost", async () => {
    const args = [
      "rate",
      "many.json",
      "--judge",
      judge,
      "--rubric",
      "ds2",
      "--no-check",
      "--run",
      "runs/killed",
      "--json",
    ];
    const rating = startAlpagasus([...args, "--store", "killed.sqlite"], { cwd: folder.path });
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const { port } = server;
    await server.kill();
    server = await start(port);
    const { code, stdout, stderr } = await rating.ended;
    expect([code, stderr]).toEqual([0, expect.anything()]);
    expect((JSON.parse(stdout) as RateSummary).states).toMatchObject({ scored: 24 });
  });
});

describe.skipIf(!canRun || !hasWheel(packages.liteLlm))(`LiteLLM (${packages.liteLlm}) before llama.cpp`, () => {
  test("passes calls and their schema on", async () => {
    const port = await freePort();
    folder.write("litellm.yaml", {
      model_list: [
        {
          model_name: "small",
          litellm_params: {
            model: "openai/smollm2",
            api_base: `http://127.0.0.1:${server.port}/v1`,
            api_key: "none",
          },
        },
      ],
    });
    await using _ = await startServer(
      [packages.liteLlm],
      ["litellm", "--config", `${folder.path}/litellm.yaml`, "--host", "127.0.0.1", "--port", String(port)],
      { port, healthPath: "/health/liveliness", env: { LITELLM_MASTER_KEY: masterKey } },
    );
    const name = `http://127.0.0.1:${port}/v1#small`;
    const summary = await run<RateSummary>(
      "rate",
      "rows.json",
      "--judge",
      name,
      "--rubric",
      "ds2",
      "--no-check",
      "--run",
      "runs/proxy",
    );
    expect(summary.states).toMatchObject({ scored: 8 });
    const rate = ["rate", "rows.json", "--no-check", "--run", "runs/wrong", "--judge"];
    const env = { ALPAGASUS_API_KEY: masterKey };
    const wrong = await alpagasus([...rate, `http://127.0.0.1:${port}/v1#other`], { cwd: folder.path, env });
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringMatching(/no such model|Invalid model name/)]);
  });
});
