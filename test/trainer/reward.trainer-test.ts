import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readAnchors } from "../../src/health/anchors.ts";
import type { RatingLine } from "../../src/run/ratings-file.ts";
import type { RateSummary } from "../../src/run/records/rating.ts";
import { alpagasus } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { pythonEnvironment } from "../helpers/python-environment.ts";
import { trainerPython } from "../helpers/trainer-python.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";
import { serveAsVllm } from "./serve-as-vllm.ts";

/* Reward models and math-verify, for real. */

const here = fileURLToPath(new URL("./", import.meta.url));
const rows = Array.from({ length: 30 }, (_, i) => ({
  instruction: `Say something about the number ${i}.`,
  input: i % 3 === 0 ? "Be brief." : "",
  output: `The number ${i} is a number. `.repeat((i % 5) + 1).trim(),
}));
const promptOf = ({ instruction, input }: { instruction: string; input: string }) =>
  input === "" ? instruction : `${instruction}\n\n${input}`;

let folder: TempFolder;

beforeAll(() => {
  folder = tempFolder();
  folder.write("rows.json", rows);
  trainerPython(`${here}tiny.py`, ["rows.json", "tiny"], "", folder.path);
});
afterAll(() => folder[Symbol.dispose]());

async function rate(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return alpagasus(["rate", ...args, "--min-coverage", "0", "--json"], { cwd: folder.path, env: pythonEnvironment });
}
const ratings = (run: string) =>
  parseLines<RatingLine & { score?: number; detail?: string }>(
    readFileSync(`${folder.path}/runs/${run}/ratings.jsonl`, "utf8"),
  );

test("a reward model's scores are those of one row at a time, and it is checked with known pairs", async () => {
  const anchors = (await readAnchors()).filter(({ kind }) => kind !== "injected");
  const pairs = anchors.flatMap((good) =>
    anchors.flatMap((bad) =>
      good.kind === "good" && bad.kind !== "good" && bad.topic === good.topic
        ? [[promptOf(good), good.output, bad.output]]
        : [],
    ),
  );
  folder.write("pairs.json", pairs);
  const expected = JSON.parse(
    trainerPython(
      `${here}tiny-reward.py`,
      ["tiny", "reward", "pairs.json"],
      JSON.stringify(rows.map((row) => [promptOf(row), row.output])),
      folder.path,
    ),
  ) as number[];
  const { code, stdout, stderr } = await rate("rows.json", "--judge", "reward:reward", "--run", "runs/reward");
  expect(code, stderr).toBe(0);
  const summary = JSON.parse(stdout) as RateSummary;
  expect(summary.checks).toEqual([
    { name: "known pairs", held: true, message: expect.stringMatching(/^reward scores the better .* in 1\d of 12/) },
  ]);
  expect(summary.scale).toBeUndefined();
  for (const [i, { score }] of ratings("reward").entries()) expect(score).toBeCloseTo(expected[i]!, 4);
  await using server = await serveAsVllm("reward", folder.path);
  const served = await rate("rows.json", "--judge", `reward:${server.address}#rm`, "--run", "runs/served");
  expect(served.code, served.stderr).toBe(0);
  expect((JSON.parse(served.stdout) as RateSummary).checks).toMatchObject([{ name: "known pairs", held: true }]);
  for (const [i, { score }] of ratings("served").entries()) expect(score).toBeCloseTo(expected[i]!, 4);
  const again = await rate("rows.json", "--judge", "reward:reward", "--as", "reward", "--run", "runs/reward");
  expect((JSON.parse(again.stdout) as RateSummary).notes.join("\n")).toContain("30 rows were scored before");
});

test("a model that gives everything the same score rates nothing, and one without a head is refused", async () => {
  trainerPython(`${here}tiny-reward.py`, ["tiny", "flat"], "[]", folder.path);
  const { code, stderr } = await rate("rows.json", "--judge", "reward:flat", "--run", "runs/flat");
  expect(stderr).toMatch(
    /flat scores the better answer higher in 0 of 12 pairs .* at least 9 are wanted\. Look whether/,
  );
  expect(code).toBe(3);
  expect(existsSync(`${folder.path}/runs/flat/ratings.jsonl`)).toBe(false);
  const taken = await rate("rows.json", "--judge", "reward:flat", "--run", "runs/flat", "--no-check");
  expect(taken.code, taken.stderr).toBe(0);
  expect((JSON.parse(taken.stdout) as RateSummary).checks![0]!.held).toBe(false);
  const headless = await rate("rows.json", "--judge", "reward:tiny", "--run", "runs/headless");
  expect(headless.stderr).toMatch(/expected a reward model, got one without the weights score\.weight/);
  expect(headless.code).toBe(1);
});

test("math-verify tells equal expressions, and says what cannot be checked", async () => {
  const cases: [answer: string, reference: string, verdict: number | RegExp][] = [
    ["The answer is 42.", "42", 1],
    [String.raw`So $\frac{2}{4}$, hence \boxed{0.5}`, String.raw`\frac{1}{2}`, 1],
    [String.raw`\boxed{2\sqrt{3}}`, String.raw`2\sqrt{3}`, 1],
    [String.raw`\boxed{2}`, String.raw`2\sqrt{3}`, 0],
    ["It costs $1,234.50 in total", "1234.5", 1],
    ["x = 3", "4", 0],
    ["The answer is 1.5e3", "1500", 1],
    ["The answer is 1.5e3", "1.5", 0],
    ["about 3 × 10⁸ m/s", "300000000", 1],
    ["The total is 3½", "3.5", 1],
    ["The total is 3½", "3", 0],
    ["The result is 2³", "8", 1],
    [String.raw`\boxed{5\times10^3}`, "5000", 1],
    [String.raw`$n = 2^2 \cdot 10^3$`, "4000", 1],
    ["The answer is −5.", "-5", 1],
    ["", "4", 0],
    ["no idea", "4", /its answer holds no mathematical expression/],
    ["5", "nothing", /its reference holds no mathematical expression/],
    ["$9^{9^{9^{9}}}$", "$9^{9^{9^{8}}}$", /it takes over 5 seconds/],
  ];
  folder.write(
    "math.json",
    cases.map(([output, reference]) => ({ instruction: "Solve it.", input: "", output, reference })),
  );
  const { code, stderr } = await rate("math.json", "--judge", "verify:math", "--run", "runs/math");
  expect(code, stderr).toBe(0);
  const found = ratings("math").map(({ score, detail }) => score ?? detail);
  expect(found).toEqual(
    cases.map(([, , verdict]) => (typeof verdict === "number" ? verdict : expect.stringMatching(verdict))),
  );
});
