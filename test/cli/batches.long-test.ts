import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { CallStore } from "../../src/llm/call-store.ts";
import { startBatchServer } from "../helpers/batch-server.ts";
import { alpagasus } from "../helpers/command-line.ts";
import { scoreOf } from "../helpers/model-server.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

const rows = Array.from({ length: 30 }, (_, i) => ({ instruction: `Row ${i}`, input: "", output: `Output ${i}` }));
const judge = ["--judge", "openai:gpt-4o-mini", "--batch"];

interface Calls {
  readonly states: Record<string, number>;
  readonly calls: {
    readonly made: number;
    readonly stored: number;
    readonly priceBasis: string;
    readonly stopped?: string;
  };
}

describe("--batch", () => {
  test("hands in, goes away with --no-wait, and the same command later fetches", async () => {
    let workMs = 600_000;
    await using server = await startBatchServer({
      get workMs() {
        return workMs;
      },
    });
    using folder = tempFolder();
    folder.write("rows.json", rows);
    const options = { cwd: folder.path, env: server.environment };
    const plan = await alpagasus(["rate", "rows.json", ...judge, "--dry-run"], options);
    expect(plan.stdout).toContain("gpt-4o-mini at OpenAI, halved in batches");
    const first = await alpagasus(["rate", "rows.json", ...judge, "--no-wait"], options);
    expect(first.code).toBe(3);
    expect(first.stdout).toContain(
      "Batches are in progress at the provider. 30 rows are still pending. All stored replies are kept; run the same command with --batch to continue.",
    );
    const listed = await alpagasus(["batches"], options);
    expect(listed.stdout).toMatch(/batch_\d+ +openai:gpt-4o-mini@\S+ +30 +30 +/);
    const direct = await alpagasus(["rate", "rows.json", "--judge", "openai:gpt-4o-mini", "--json"], options);
    expect(JSON.parse(direct.stdout)).toMatchObject({
      states: { pending: 30 },
      calls: { made: 0, stopped: "batches" },
    });
    workMs = 0;
    const second = await alpagasus(["rate", "rows.json", ...judge, "--json"], options);
    expect(second.code).toBe(0);
    expect(JSON.parse(second.stdout)).toMatchObject({ states: { scored: 30 }, calls: { made: 30 } });
    expect((await alpagasus(["batches"], options)).stdout).toContain("No batch is in progress.");
    expect(server.direct.count).toBe(0);
  });

  test("a direct run fetches what batches have ended, and asks only for the rest", async () => {
    await using server = await startBatchServer();
    using folder = tempFolder();
    folder.write("rows.json", rows.slice(0, 20));
    folder.write("more.json", rows);
    const options = { cwd: folder.path, env: server.environment };
    await alpagasus(["rate", "rows.json", ...judge, "--no-wait"], options);
    const direct = await alpagasus(
      ["rate", "more.json", "--judge", "openai:gpt-4o-mini", "--run", "runs/more", "--json"],
      options,
    );
    const { states, calls } = JSON.parse(direct.stdout) as Calls;
    expect(states).toEqual({ scored: 30 });
    expect(calls).toMatchObject({ made: 10, stored: 20 });
    expect(server.direct.count).toBe(10);
    expect(Math.max(...server.billed.values())).toBe(1);
  });

  test("a direct run ends where batches hold the rest of the budget, and says so", async () => {
    await using server = await startBatchServer({ workMs: 600_000 });
    using folder = tempFolder();
    folder.write("rows.json", rows);
    const options = { cwd: folder.path, env: server.environment };
    const direct = ["rate", "rows.json", "--judge", "openai:gpt-4o-mini", "--no-check"];
    await alpagasus([...direct, "--batch", "--no-wait", "--limit", "20", "--budget", "1"], options);
    using store = new CallStore(`${folder.path}/.alpagasus/calls.sqlite`, { readOnly: true });
    const { purse } = JSON.parse(readFileSync(`${folder.path}/runs/default/purse.json`, "utf8")) as { purse: string };
    const { batched, reserved } = store.purse(purse);
    expect(batched).toBeGreaterThan(0);
    expect(reserved).toBe(batched);
    const budget = String((1.01 * batched) / 1e9);
    const { code, stdout } = await alpagasus([...direct, "--budget", budget], options);
    expect(code).toBe(4);
    expect(stdout).toMatch(/beside the \$\S+ that batches at the provider have reserved\. 30 rows are still pending/);
    expect(stdout).toContain("continue when the batches have ended");
    expect(server.direct.count).toBe(0);
  });

  test("generate and compare ask in batches too", async () => {
    await using server = await startBatchServer({
      fate: ({ user }) => ({
        kind: "reply",
        text: user.includes("Assistant 1") ? "8 7\nBecause." : `An answer to ${user}`,
      }),
    });
    using folder = tempFolder();
    const options = { cwd: folder.path, env: server.environment };
    const answered = await alpagasus(
      ["generate", "--model", "anthropic:claude-haiku-4-5", "--tests", "vicuna", "--batch", "--name", "a", "--json"],
      options,
    );
    expect({ code: answered.code, stderr: answered.stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(answered.stdout)).toMatchObject({ calls: { made: 80 } });
    folder.write(
      "b.json",
      readFileSync(`${folder.path}/runs/default/answers/a.jsonl`, "utf8")
        .trim()
        .split("\n")
        .map((line) => ({ ...(JSON.parse(line) as object), output: "Another answer" })),
    );
    const compared = await alpagasus(
      ["compare", "a", "b.json", "--judge", "openai:gpt-4o-mini", "--batch", "--json"],
      options,
    );
    expect(compared.code).toBe(0);
    expect(JSON.parse(compared.stdout)).toMatchObject({ calls: { made: 160 }, pooled: { counts: { tie: 80 } } });
    expect(server.direct.count).toBe(0);
  });

  test("are cancelled and given up by name", async () => {
    await using server = await startBatchServer({ workMs: 600_000 });
    using folder = tempFolder();
    folder.write("rows.json", rows);
    const options = { cwd: folder.path, env: server.environment };
    await alpagasus(["rate", "rows.json", ...judge, "--no-wait"], options);
    const wrong = await alpagasus(["batches", "--cancel", "batch_99"], options);
    expect({ code: wrong.code, stderr: wrong.stderr }).toEqual({
      code: 2,
      stderr: `alpagasus: batch_99: expected a batch that is under way, got none of that name (there: ${server.batches[0]!.id})\n`,
    });
    const cancelled = await alpagasus(["batches", "--cancel"], options);
    expect(cancelled.stdout).toContain("asked to stop");
    expect(server.batches[0]!.status).toBe("cancelled");
    const after = await alpagasus(["rate", "rows.json", ...judge], options);
    expect(after.code).toBe(1);
    expect(after.stderr).toContain("was cancelled at the provider; run the same command again to hand in the rest");
    await alpagasus(["rate", "rows.json", ...judge, "--no-wait"], options);
    const forgotten = await alpagasus(["batches", "--forget", server.batches[0]!.id], options);
    expect(forgotten.stdout).toContain("Marked as lost");
    using store = new CallStore(`${folder.path}/.alpagasus/calls.sqlite`, { readOnly: true });
    expect(store.batches.isEmpty).toBe(true);
  });

  test.each([
    [["--judge", "http://127.0.0.1:1/v1#qwen3", "--batch"], "--batch: expected a model of a provider with batches"],
    [["--judge", "openai:gpt-4o-mini", "--batch-size", "5"], "--batch-size: expected --batch with it, got none"],
    [["--judge", "openai:gpt-4o-mini", "--no-wait"], "--no-wait: expected --batch with it, got none"],
    [["--judge", "student", "--batch"], "--batch: expected a judge that calls a model, got student"],
  ])("%j is refused", async (flags, message) => {
    using folder = tempFolder();
    folder.write("rows.json", rows);
    const { code, stderr } = await alpagasus(["rate", "rows.json", ...flags], {
      cwd: folder.path,
      env: { OPENAI_API_KEY: "sk-test" },
    });
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) as string });
  });

  test("token probabilities come from batches as well", async () => {
    await using server = await startBatchServer({
      fate: ({ user, body }) => {
        expect(body).toMatchObject({ top_logprobs: 20, store: false });
        const score = scoreOf({ user }).split("\n", 1)[0]!;
        const whole = String(Math.floor(Number(score)));
        const other = whole === "2" ? "3" : "2";
        return {
          kind: "reply",
          text: `${whole}\nBecause.`,
          logprobs: [
            {
              token: whole,
              logprob: Math.log(0.75),
              top_logprobs: [
                { token: whole, logprob: Math.log(0.75) },
                { token: other, logprob: Math.log(0.25) },
              ],
            },
            { token: "\nBecause.", logprob: 0, top_logprobs: [] },
          ],
        };
      },
    });
    using folder = tempFolder();
    folder.write("rows.json", rows);
    const { code, stdout } = await alpagasus(
      ["rate", "rows.json", ...judge, "--logprobs", "--rubric", "alpagasus-accuracy", "--json"],
      {
        cwd: folder.path,
        env: server.environment,
      },
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ states: { scored: 30 } });
  });
});
