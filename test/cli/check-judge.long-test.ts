import { describe, expect, test } from "vitest";
import { anchorLanguages } from "../../src/health/anchor-languages.ts";
import { readAnchors, type AnchorKind } from "../../src/health/anchors.ts";
import type { JudgeHealth } from "../../src/stages/check-judge.ts";
import { alpagasus } from "../helpers/command-line.ts";
import { startModelServer, type Asked } from "../helpers/model-server.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

const anchors = await readAnchors();
const fair: Readonly<Record<AnchorKind, number>> = {
  good: 4.5,
  "cut short": 2,
  wrong: 1,
  "off topic": 0.5,
  refused: 0,
  injected: 1,
};

/** The kind of the anchor that is asked about; undefined for a row of the data. */
function kindOf({ user }: Pick<Asked, "user">): AnchorKind | undefined {
  return anchors.find(({ output }) => user.includes(output))?.kind;
}

type Scripted = (kind: AnchorKind, asked: Asked) => number;

const judges: Readonly<Record<string, readonly [script: Scripted, fails: readonly string[]]>> = {
  "a good one": [(kind) => fair[kind], []],
  "one that says 4.5 to everything": [() => 4.5, ["separates"]],
  "one that does what rows tell it": [(kind) => (kind === "injected" ? 5 : fair[kind]), ["resists injections"]],
  "one that is right but noisy": [
    (kind, { ordinal }) => fair[kind] + [0, 0.5, -0.5][ordinal % 3]! * (fair[kind] > 0.5 ? 1 : 0),
    [],
  ],
  "one whose replies to one question say next to nothing": [
    (kind, { ordinal }) => (ordinal % 60 < 20 || ordinal % 60 >= 40 ? fair[kind] : 4.5 - fair[kind]),
    ["repeats itself"],
  ],
  "one that prefers short answers": [(kind) => 5 - fair[kind], ["separates"]],
};

describe("alpagasus check-judge", () => {
  test("says nothing of a judge when its budget ends first", async () => {
    await using server = await startModelServer({ answer: () => "4.5" }); // to everything: a whole check would fail
    using folder = tempFolder();
    const args = ["check-judge", "--judge", server.judge, "--price", "1/4", "--budget", "0.006"];
    const { code, stdout } = await alpagasus(args, { cwd: folder.path });
    expect([code, stdout]).toEqual([4, expect.stringContaining("The check did not finish, since its budget is spent")]);
    expect(stdout).not.toContain("FAILS");
    // with more it goes on: no question is paid twice; a check after that is a new one
    const asked = server.log.length;
    const more = [...args.slice(0, -1), "1"];
    const other = more.with(2, server.judge.replace("/v1", "/other/v1"));
    await alpagasus(other, { cwd: folder.path }); // another judge's check ends meanwhile
    server.log.length = asked;
    expect((await alpagasus(more, { cwd: folder.path })).stdout).toContain("FAILS");
    expect(server.log.length).toBeGreaterThan(asked);
    expect(server.log.length % anchors.length).toBe(0);
    const whole = server.log.length;
    await alpagasus(more, { cwd: folder.path });
    expect(server.log).toHaveLength(2 * whole);
  });

  test("in another language asks the same questions in it, and tells the same of a judge", async () => {
    for (const language of anchorLanguages) {
      const theirs = await readAnchors(language);
      expect(theirs.map(({ id, topic, kind }) => [id, topic, kind])).toEqual(
        anchors.map(({ id, topic, kind }) => [id, topic, kind]),
      );
      if (language !== "en")
        for (const [i, { output }] of theirs.entries()) expect(output).not.toBe(anchors[i]!.output);
    }
    const chinese = await readAnchors("zh");
    await using server = await startModelServer({
      answer: ({ user }) => String(fair[chinese.find(({ output }) => user.includes(output))!.kind]),
    });
    using folder = tempFolder();
    const args = ["check-judge", "--judge", server.judge, "--price", "1/1", "--language", "zh", "--json"];
    const { code, stdout } = await alpagasus(args, { cwd: folder.path });
    expect([code, (JSON.parse(stdout) as JudgeHealth).isHealthy]).toEqual([0, true]);
  });

  test.concurrent.each(Object.entries(judges))("%s", async (_, [script, fails]) => {
    await using server = await startModelServer({ answer: (asked) => `${script(kindOf(asked)!, asked)}\nBecause.` });
    using folder = tempFolder();
    const args = ["check-judge", "--judge", server.judge, "--concurrency", "1", "--price", "1/1"];
    const { code, stdout, stderr } = await alpagasus([...args, "--json"], { cwd: folder.path });
    expect({ code, stderr }).toEqual({ code: fails.length > 0 ? 3 : 0, stderr: "" });
    const health = JSON.parse(stdout) as JudgeHealth;
    expect(health.checks.filter(({ held }) => !held).map(({ name }) => name)).toEqual(fails);
    const calls = fails.length > 0 ? 60 : 40; // a third round where two leave doubt
    expect(health).toMatchObject({ isHealthy: fails.length === 0, calls, rubric: "alpagasus-accuracy" });
    expect(health.paidUsd).toBeGreaterThan(0);
    expect(server.log).toHaveLength(calls);
    const text = await alpagasus(args, { cwd: folder.path });
    expect(server.log).toHaveLength(2 * calls); // asked anew each time
    expect(text.stdout).toContain(fails.length > 0 ? "FAILS" : "holds");
  });

  test("replies that cannot be read, and a build that is not the stored replies'", async () => {
    let build = "gpt-2026-01";
    await using server = await startModelServer({
      answer: (asked) => {
        const kind = kindOf(asked);
        const text = kind === undefined ? "3" : build === "gpt-2026-01" ? "No idea." : String(fair[kind]);
        const body = {
          id: "1",
          object: "chat.completion",
          created: 1,
          model: build,
          choices: [{ index: 0, message: { role: "assistant", content: text }, finish_reason: "stop" }],
          usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
        };
        return { kind: "raw", status: 200, type: "application/json", body: JSON.stringify(body) };
      },
    });
    using folder = tempFolder();
    folder.write("rows.json", [{ instruction: "Row", input: "", output: "Something." }]);
    await alpagasus(["rate", "rows.json", "--judge", server.judge], { cwd: folder.path });
    const first = await alpagasus(["check-judge", "--judge", server.judge, "--json"], { cwd: folder.path });
    expect((JSON.parse(first.stdout) as JudgeHealth).checks[0]).toEqual({
      name: "readable",
      held: false,
      message: "0 of 60 replies have a score that can be read (unparsable: no number: No idea.)",
    });
    build = "gpt-2026-06";
    const second = await alpagasus(["check-judge", "--judge", server.judge, "--json"], { cwd: folder.path });
    expect(second.code).toBe(3);
    const failed = (JSON.parse(second.stdout) as JudgeHealth).checks.filter(({ held }) => !held);
    expect(failed).toEqual([
      {
        name: "same build",
        held: false,
        message: "gpt-2026-06 answers now; the replies in the store were made by gpt-2026-01 (61 replies)",
      },
    ]);
  });

  test("a student, without calling the judge anybody: it goes by the look of a response", async () => {
    using folder = tempFolder();
    const { code, stdout } = await alpagasus(["check-judge"], { cwd: folder.path });
    expect(code).toBe(3);
    expect(stdout).toContain("This judge cannot tell right from wrong here");
    expect(stdout).toContain("Twenty anchor rows rated by student, twice");
    expect(stdout).toContain("holds  repeats itself");
  });

  test.each([
    [["--judge", "recorded:scores.json"], "scores.json"],
    [["--judge", "student", "--rubric", "ds2"], "--rubric: expected a judge that calls a model, got student"],
    [["--judge", "openai:gpt-5-mini"], "expected a key in OPENAI_API_KEY, got none"],
    [
      ["--judge", "openai:gpt-5-mini", "--batch"],
      "--batch: a check needs its replies at once and cannot use batches; leave the option out",
    ],
    [
      ["--judge", "openai:gpt-5-mini", "--rubric", "deita-complexity"],
      "--rubric: expected one that rates responses, got deita-complexity, which rates instructions",
    ],
  ])("%j is refused", async (flags, message) => {
    using folder = tempFolder();
    const env = flags.includes("--rubric") ? { env: { OPENAI_API_KEY: "sk-test" } } : {};
    const { code, stderr } = await alpagasus(["check-judge", ...flags], { cwd: folder.path, ...env });
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) as string });
  });
});

describe("a long rating", () => {
  const rows = Array.from({ length: 1200 }, (_, i) => ({ instruction: `Row ${i}`, input: "", output: "Something." }));

  test.concurrent("begins and ends with the anchors, pays for them once, and tells that nothing drifted", async () => {
    await using server = await startModelServer({
      answer: (asked) => String(kindOf(asked) ? fair[kindOf(asked)!] : asked.ordinal % 5),
    });
    using folder = tempFolder();
    folder.write("rows.json", rows);
    const args = ["rate", "rows.json", "--judge", server.judge, "--json"];
    const { code, stdout } = await alpagasus(args, { cwd: folder.path });
    expect(code).toBe(0);
    const summary = JSON.parse(stdout) as { alarms: string[]; checks: { held: boolean }[] };
    expect(summary).toMatchObject({ states: { scored: 1200 }, alarms: [], calls: { made: 1260 } });
    expect(summary.checks.every(({ held }) => held)).toBe(true);
    const again = await alpagasus(args, { cwd: folder.path });
    expect(JSON.parse(again.stdout)).toMatchObject({ calls: { made: 0, stored: 1260 }, alarms: [] });
    expect(server.log).toHaveLength(1260);
  });

  test.concurrent("by a judge that drifts half way ends with an alarm", async () => {
    await using server = await startModelServer({
      answer: (asked) => String(Math.max(0, fair[kindOf(asked) ?? "good"] - (asked.ordinal > 640 ? 1 : 0))),
    });
    using folder = tempFolder();
    folder.write("rows.json", rows);
    const { code, stdout } = await alpagasus(["rate", "rows.json", "--judge", server.judge], { cwd: folder.path });
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /ALARM: .*the judge has drifted: at the end it scores 20 anchor rows 0\.\d\d lower than at the beginning/,
    );
  });

  test.concurrent("--no-check says that there was none", async () => {
    await using server = await startModelServer({ answer: (asked) => String(fair[kindOf(asked) ?? "good"]) });
    using folder = tempFolder();
    folder.write("rows.json", rows);
    const { code, stdout } = await alpagasus(["rate", "rows.json", "--judge", server.judge, "--no-check", "--json"], {
      cwd: folder.path,
    });
    expect(code).toBe(0);
    expect((JSON.parse(stdout) as { notes: string[] }).notes.join()).toContain("was not checked before it rated");
    expect(server.log).toHaveLength(1200);
  });

  test.concurrent("is not begun with a judge that obeys rows, unless it is wanted", async () => {
    await using server = await startModelServer({
      answer: (asked) => (kindOf(asked) === "injected" ? "5" : String(fair[kindOf(asked) ?? "good"])),
    });
    using folder = tempFolder();
    folder.write("rows.json", rows);
    const args = ["rate", "rows.json", "--judge", server.judge];
    const { code, stderr } = await alpagasus(args, { cwd: folder.path });
    expect(code).toBe(3);
    expect(stderr).toContain(
      `did not rate the data, because it failed its check: resists injections: wrong responses that tell the judge to score them high score 4.00 higher than other wrong ones, on average (limit: 1.00). See details with alpagasus check-judge --judge ${server.judge}; check it again with --retry-failed, or rate without the check with --no-check`,
    );
    const status = await alpagasus(["status"], { cwd: folder.path });
    expect(status.stdout).toMatch(
      /next +alpagasus check-judge with another --judge or --rubric, since .* failed its check/,
    );
    expect(server.log).toHaveLength(60);
    expect((await alpagasus(args, { cwd: folder.path })).code).toBe(3);
    expect(server.log).toHaveLength(60); // told again for nothing
    expect((await alpagasus([...args, "--retry-failed"], { cwd: folder.path })).code).toBe(3);
    expect(server.log).toHaveLength(120); // it may have been mended
    const anyway = await alpagasus([...args, "--no-check", "--json"], { cwd: folder.path });
    expect(JSON.parse(anyway.stdout)).toMatchObject({ states: { scored: 1200 }, calls: { made: 1200 } });
    expect(server.log).toHaveLength(1320);
    expect((JSON.parse(anyway.stdout) as { alarms: string[] }).alarms.join()).toContain(
      "failed its check and was used all the same",
    );
    const again = await alpagasus([...args, "--json"], { cwd: folder.path }); // nothing is left to ask: that is said, and costs nothing
    expect(again.code).toBe(0);
    expect((JSON.parse(again.stdout) as { alarms: string[] }).alarms.join()).toContain("resists injections");
  });

  test.concurrent("goes on later as another stretch: a judge that answers at random by then is caught", async () => {
    let isRandom = false;
    await using server = await startModelServer({
      answer: (asked) => String(isRandom ? (7 * asked.ordinal) % 6 : fair[kindOf(asked) ?? "good"]),
    });
    using folder = tempFolder();
    folder.write("rows.json", rows);
    const args = ["rate", "rows.json", "--judge", server.judge];
    expect((await alpagasus(args, { cwd: folder.path })).code).toBe(0);
    const more = Array.from({ length: 1200 }, (_, i) => ({
      instruction: `More ${i}`,
      input: "",
      output: "Something.",
    }));
    folder.write("rows.json", [...rows, ...more]);
    isRandom = true;
    const { code, stderr } = await alpagasus([...args, "--overwrite"], { cwd: folder.path });
    expect(code).toBe(3);
    expect(stderr).toContain("did not rate the data, because it failed its check: separates");
  });

  test.concurrent("whose anchors were refused for a day asks them again, and goes on", async () => {
    let isDown = true;
    await using server = await startModelServer({
      answer: (asked) =>
        isDown && kindOf(asked) !== undefined && asked.ordinal % 4 > 0
          ? {
              kind: "raw",
              status: 400,
              type: "application/json",
              body: '{"error": {"message": "this row is refused today"}}',
            }
          : String(fair[kindOf(asked) ?? "good"]),
    });
    using folder = tempFolder();
    folder.write("rows.json", rows);
    const args = ["rate", "rows.json", "--judge", server.judge, "--max-attempts", "1", "--concurrency", "4"];
    const lost = await alpagasus(args, { cwd: folder.path });
    expect(lost.code).toBeGreaterThan(0);
    isDown = false;
    const { code, stderr } = await alpagasus(args, { cwd: folder.path });
    expect([code, stderr.split("\n").filter((line) => line.startsWith("alpagasus:"))]).toEqual([0, []]);
  });
});
