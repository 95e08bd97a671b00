import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createRandom } from "../../src/stats/random.ts";
import { alpagasus } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { startModelServer, type Asked } from "../helpers/model-server.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

interface Line {
  readonly state: string;
  readonly score: number;
  readonly written: number;
  readonly missing?: number;
  readonly replies?: number[];
  readonly calls?: string[];
  readonly detail?: string;
}

interface Summary {
  readonly notes: string[];
  readonly states: Record<string, number>;
  readonly agreement: { spearman: { value: number }; writtenSpearman: { value: number } };
  readonly calls: { made: number; stored: number };
}

const random = createRandom(7);
/** How good each row is, which the judge knows and writes down as a whole number. */
const quality = Array.from({ length: 300 }, () => 3.2 + 1.6 * random());
const rows = quality.map((good, i) => ({ instruction: `Row ${i}.`, input: "", output: "Something.", good }));

/** The judge's own probabilities for the scores 0 to 5. */
function probabilitiesOf(asked: Pick<Asked, "user">): number[] {
  const good = quality[Number(/Row (\d+)\./.exec(asked.user)![1])]!;
  const weights = [0, 1, 2, 3, 4, 5].map((score) => Math.exp(-2 * (score - good) ** 2));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

const expected = (probabilities: readonly number[]) => probabilities.reduce((sum, p, score) => sum + p * score, 0);
const likeliest = (probabilities: readonly number[]) => probabilities.indexOf(Math.max(...probabilities));

const args = (judge: string, ...more: string[]) =>
  [
    "rate",
    "rows.json",
    "--judge",
    judge,
    "--against",
    "column:good",
    "--rubric",
    "ds2-like.yaml",
    "--json",
    ...more,
  ] as const;

const rubric = `name: whole
version: 1
description: Whole numbers.
scale: { min: 0, max: 5, step: 1 }
sampling: { temperature: 0, max_output_tokens: 20 }
user: "{{ instruction }} {{ output }}"
reply: { format: number }
`;

const readRatings = (folder: string) =>
  parseLines<Line>(readFileSync(join(folder, "runs/default/ratings.jsonl"), "utf8"));

describe("expected scores", () => {
  test("are the hand-computed means, and rank rows that the written scores pile up", async () => {
    await using server = await startModelServer({
      answer: (asked) => {
        expect(asked.body).toMatchObject({ logprobs: true, top_logprobs: 20 });
        const probabilities = probabilitiesOf(asked);
        const text = String(likeliest(probabilities));
        const top = probabilities.map((p, score) => ({ token: String(score), logprob: Math.log(p) }));
        const content = [
          { token: text, logprob: Math.log(probabilities[Number(text)]!), top_logprobs: top },
          { token: "\nGood", logprob: 0, top_logprobs: [] },
        ];
        return { kind: "reply", text: `${text}\nGood`, logprobs: content };
      },
    });
    using folder = tempFolder();
    folder.write("rows.json", rows);
    folder.write("ds2-like.yaml", rubric);
    const { code, stdout, stderr } = await alpagasus(args(server.judge, "--logprobs"), { cwd: folder.path });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const [i, rating] of readRatings(folder.path).entries()) {
      const probabilities = probabilitiesOf({ user: `Row ${i}.` });
      expect(Math.abs(rating.score - expected(probabilities))).toBeLessThan(1e-9);
      expect(rating.written).toBe(likeliest(probabilities));
      expect(rating.missing).toBeLessThan(1e-9);
    }
    const summary = JSON.parse(stdout) as Summary;
    expect(summary.agreement.spearman.value).toBeGreaterThan(0.999);
    expect(summary.agreement.writtenSpearman.value).toBeLessThan(0.9);
    expect(summary.notes.find((note) => note.includes("written scores"))).toMatch(
      /^\d\d\.\d % of the written scores are 4; /,
    );
    const again = await alpagasus(args(server.judge, "--logprobs"), { cwd: folder.path });
    expect(JSON.parse(again.stdout)).toMatchObject({ calls: { made: 0, stored: 300 } });
    expect((JSON.parse(again.stdout) as Summary).agreement).toEqual(summary.agreement);
  });

  test("a server that tells no probabilities is not paid for all rows", async () => {
    await using server = await startModelServer({ answer: () => "4" });
    using folder = tempFolder();
    folder.write("rows.json", rows);
    folder.write("ds2-like.yaml", rubric);
    const { code, stdout } = await alpagasus(args(server.judge, "--logprobs", "--concurrency", "1"), {
      cwd: folder.path,
    });
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ calls: { made: 3, stopped: "failure" } });
    expect(stdout).toContain(
      "it returns no token probabilities (3 replies came without them); use --samples instead of --logprobs; in compare, another rubric",
    );
  });

  test("of samples are the means of different replies to the same question", async () => {
    const draw = createRandom(3);
    await using server = await startModelServer({
      answer: (asked) => {
        expect(asked.body["temperature"]).toBe(1);
        let at = draw();
        return String(probabilitiesOf(asked).findIndex((p) => (at -= p) < 0));
      },
    });
    using folder = tempFolder();
    folder.write("rows.json", rows);
    folder.write("ds2-like.yaml", rubric);
    const { code, stdout } = await alpagasus(args(server.judge, "--samples", "8", "--no-check"), { cwd: folder.path });
    expect(code).toBe(0);
    const summary = JSON.parse(stdout) as Summary;
    expect(summary.calls).toMatchObject({ made: 2400, stored: 0 });
    expect(summary.agreement.spearman.value).toBeGreaterThan(summary.agreement.writtenSpearman.value + 0.1);
    const [first] = readRatings(folder.path);
    expect(first!.replies).toHaveLength(8);
    expect(new Set(first!.calls).size).toBe(8);
    expect(first!.score).toBeCloseTo(first!.replies!.reduce((sum, score) => sum + score, 0) / 8, 12);
    const again = await alpagasus(args(server.judge, "--samples", "8", "--no-check"), { cwd: folder.path });
    expect(JSON.parse(again.stdout)).toMatchObject({ calls: { made: 0, stored: 2400 } });
  });

  test("are refused where they make no sense", async () => {
    using folder = tempFolder();
    folder.write("rows.json", rows);
    for (const [judge, flags, message] of [
      ["anthropic:claude-haiku-4-5", ["--logprobs"], "--logprobs: expected a model that returns token probabilities"],
      ["openai:gpt-5-mini", ["--logprobs"], "use --samples"],
      ["openai:gpt-4o-mini", ["--logprobs", "--samples", "3"], "expected either --logprobs or --samples, got both"],
      ["student", ["--logprobs"], "--logprobs: expected a judge that calls a model, got student"],
    ] as const) {
      const { code, stderr } = await alpagasus(["rate", "rows.json", "--judge", judge, ...flags], {
        cwd: folder.path,
        env: { OPENAI_API_KEY: "sk-test", ANTHROPIC_API_KEY: "sk-test" },
      });
      expect(code).toBe(2);
      expect(stderr).toContain(message);
    }
  });
});
