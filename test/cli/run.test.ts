import { existsSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { CallStore } from "../../src/llm/call-store.ts";
import { experimentJsonSchema } from "../../src/experiment/recipe-schema.ts";
import { listExperiments, openExperiment } from "../../src/experiment/recipe.ts";
import type { ExperimentResult } from "../../src/run/records/experiment.ts";
import { createRandom } from "../../src/stats/random.ts";
import { alpagasus, misuse, startAlpagasus, type CommandResult } from "../helpers/command-line.ts";
import { startModelServer, type Asked, type ModelServer } from "../helpers/model-server.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";
import { isLong } from "../helpers/long.ts";

const packageFile = (path: string) => new URL(`../../${path}`, import.meta.url);

interface End {
  readonly results: Readonly<Record<string, { readonly state: string }>>;
  readonly result: ExperimentResult | null;
}

const endOf = ({ stdout }: CommandResult) => JSON.parse(stdout) as End;

/** The tasks of an end that were done, not kept. */
function doneIn(result: CommandResult): string[] {
  return Object.entries(endOf(result).results)
    .filter(([, { state }]) => state === "done")
    .map(([task]) => task);
}

/** Rates, answers and compares by what it is asked: a long answer wins. */
function play({ user, model }: Asked): string {
  if (user.includes("Response 2") || user.includes("Assistant 2")) {
    const [, one = "", other = ""] =
      /Answer\]\n([\s\S]*?)\n\n\[The End of Assistant 1[\s\S]*Answer\]\n([\s\S]*?)\n\n\[The End/.exec(user) ?? [];
    return one.length > other.length ? "9 5\nlonger" : one.length < other.length ? "5 9\nlonger" : "7 7\nequal";
  }
  if (model === "long" || (model === "gpt-4.1-mini" && user.startsWith("A prompt")))
    return `A long answer to ${user}, with more words than needed`;
  if (model === "short") return `To ${user}`;
  return `${(user.length % 11) / 2}\nby its length`;
}

function writeExperiment(folder: TempFolder, server: ModelServer, changes: object = {}): string {
  folder.write(
    "rows.json",
    Array.from({ length: 60 }, (_, i) => ({
      instruction: `Instruction ${"x".repeat(i)}`,
      input: "",
      output: `Output ${i}`,
    })),
  );
  folder.write(
    "prompts.json",
    Array.from({ length: 12 }, (_, i) => ({
      id: i,
      set: i % 2 ? "odd" : "even",
      instruction: `A prompt of its own, number ${i}`,
    })),
  );
  const address = `${server.origin}/v1`;
  return folder.write(
    "recipe.yaml",
    stringify({
      name: "small",
      data: "rows.json",
      rate: { judge: `${address}#rater` },
      arms: { selected: { min_score: 3 }, random: { method: "random" }, full: { method: "full" } },
      models: { long: `${address}#long`, short: `${address}#short` },
      generate: { tests: ["prompts.json"] },
      compare: { judges: [`${address}#comparer`], matches: [["long", "short"]] },
      ...changes,
    }),
  );
}

/** The keys of all calls that a finished experiment has made. */
function callsOf(folder: TempFolder): string[] {
  const at = join(folder.path, "runs/small");
  const lines = ["ratings.jsonl", "answers/long.jsonl", "answers/short.jsonl"].flatMap((name) =>
    parseLines<{ call?: string }>(readFileSync(join(at, name), "utf8")),
  );
  const verdicts = readdirSync(join(at, "verdicts")).flatMap((name) =>
    parseLines<{ orders: { call?: string }[] }>(readFileSync(join(at, "verdicts", name), "utf8")),
  );
  return [...new Set([...lines, ...verdicts.flatMap(({ orders }) => orders)].flatMap(({ call }) => call ?? []))];
}

const run = (folder: TempFolder, ...args: string[]) =>
  alpagasus(["run", "recipe.yaml", "--json", ...args], { cwd: folder.path });

describe("an experiment", () => {
  test("runs to its result, and is done then; each change does again only what follows from it", async () => {
    const asked: string[] = [];
    await using server = await startModelServer({ answer: (question) => (asked.push(question.model), play(question)) });
    using folder = tempFolder();
    writeExperiment(folder, server);
    const first = await run(folder);
    expect([first.code, first.stderr.split("\n").filter((line) => line.startsWith("alpagasus:"))]).toEqual([0, []]);
    const { result } = endOf(first);
    expect(result!.matches).toMatchObject([
      { a: "long", b: "short", pooled: { counts: { win: 12, tie: 0, lose: 0 } } },
    ]);
    expect(result!.arms.map(({ arm, rows }) => [arm, rows])).toContainEqual(["full", 60]);
    expect(existsSync(join(folder.path, "runs/small/report.html"))).toBe(true);
    expect(asked.filter((model) => model === "rater")).toHaveLength(60);
    const second = await run(folder);
    expect([doneIn(second), endOf(second).result]).toEqual([[], result]);
    const calls = asked.length;
    expect(calls).toBe(60 + 24 + 24);

    const changed = async (changes: object) => {
      writeExperiment(folder, server, changes);
      return doneIn(await run(folder));
    };
    // another threshold: nobody is asked
    const threshold = { arms: { selected: { min_score: 4 }, random: { method: "random" }, full: { method: "full" } } };
    expect(await changed(threshold)).toEqual(["select selected", "select random", "contamination", "report"]);
    expect(asked).toHaveLength(calls);
    // another judge of the comparison: nothing else is asked
    const judge = `${server.origin}/v1#other-comparer`;
    const compare = { judges: [judge], matches: [["long", "short"]] };
    expect(await changed({ ...threshold, compare })).toEqual([`compare long short by ${judge}`, "report"]);
    expect(asked.slice(calls).every((model) => model === "other-comparer")).toBe(true);
    // one row edited: one rating
    const rows = JSON.parse(readFileSync(join(folder.path, "rows.json"), "utf8")) as { output: string }[];
    const before = asked.length;
    writeFileSync(
      join(folder.path, "rows.json"),
      JSON.stringify(rows.map((row, i) => (i === 7 ? { ...row, output: "edited" } : row))),
    );
    const edited = await run(folder);
    expect(asked.slice(before)).toEqual(["rater"]);
    expect(doneIn(edited)).toEqual(
      expect.arrayContaining(["rate", "select selected", "select full", "contamination", "report"]),
    );
    expect(doneIn(edited)).not.toContain("generate long");
  });

  test.runIf(isLong)("tells before what it would do, and why", async () => {
    await using server = await startModelServer({ answer: play });
    using folder = tempFolder();
    writeExperiment(folder, server);
    const plan = async () => (await alpagasus(["run", "recipe.yaml", "--dry-run"], { cwd: folder.path })).stdout;
    expect(await plan()).toMatch(/rate +due +60 calls.*it was not done yet/);
    expect(server.log).toEqual([]);
    expect(existsSync(join(folder.path, "runs"))).toBe(false);
    await run(folder);
    expect(await plan()).toContain("Nothing is due.");
    writeExperiment(folder, server, { arms: { selected: { min_score: 4 }, full: { method: "full" } } });
    expect(await plan()).toMatch(/select selected +due .*min_score is 4, and was 3/);
    writeFileSync(join(folder.path, "runs/small/answers/long.jsonl"), "");
    expect(await plan()).toMatch(/generate long +due .*its result was changed outside the experiment/);
  });

  const kills = 20;
  test.runIf(isLong)(
    `killed at ${kills} moments and started again, it comes to the same result, and nothing is paid twice`,
    async () => {
      await using server = await startModelServer({
        answer: play,
        latencyMs: (ordinal) => 40 + ((ordinal * 37) % 160),
      });
      using folder = tempFolder();
      writeExperiment(folder, server);
      using undisturbed = tempFolder();
      writeExperiment(undisturbed, server);
      const wanted = endOf(await run(undisturbed)).result;
      const asked = server.log.length;
      const random = createRandom(5);
      let killed = 0;
      while (killed < kills) {
        const running = startAlpagasus(["run", "recipe.yaml"], { cwd: folder.path });
        const until = server.log.length + 1 + Math.floor(16 * random()); // some replies later
        const timer = setInterval(() => {
          if (server.log.length < until) return;
          clearInterval(timer);
          setTimeout(() => running.kill("SIGKILL"), 30 * random());
        }, 1);
        const { code } = await running.ended;
        clearInterval(timer);
        if (code === 0) break; // it was faster than the kills
        killed++;
      }
      using store = new CallStore(join(folder.path, ".alpagasus/calls.sqlite"), { readOnly: true });
      const kept = callsOf(undisturbed).filter((key) => store.find(key)).length;
      expect(kept).toBeGreaterThan(0); // it has got on
      await new Promise((resolve) => setTimeout(resolve, 500)); // what the last kill has left is answered by then
      const before = server.log.length;
      const end = await run(folder);
      expect(server.log.length - before).toBe(asked - kept); // nothing that it has is asked for again
      expect([
        end.code,
        end.stderr.split("\n").filter((line) => line.startsWith("alpagasus:")),
        end.code === 0 ? "" : end.stdout,
      ]).toEqual([0, [], ""]);
      expect(endOf(end).result).toEqual(wanted);
      const replied = [...server.replied.values()].reduce((sum, times) => sum + times, 0);
      const twice = replied - 2 * asked; // each question once undisturbed, and once in all the attempts
      expect(twice).toBeLessThanOrEqual(3 * 32 * kills); // what three stages may have in flight when they are killed
    },
  );

  test.runIf(isLong)("the budget holds over all stages together", async () => {
    await using server = await startModelServer({ answer: play, price: { input: 0.15, output: 0.6 } });
    using folder = tempFolder();
    const judge = "openai:gpt-4o-mini";
    writeExperiment(folder, server, {
      rate: { judge },
      models: { long: judge, short: `${server.origin}/v1#short` },
      compare: { judges: [judge], matches: [["long", "short"]] },
    });
    const env = server.environment;
    const without = await alpagasus(["run", "recipe.yaml", "--budget", "1"], { cwd: folder.path, env });
    expect([without.code, without.stderr]).toEqual([
      2,
      expect.stringMatching(/#short: expected a model whose price is known, since there is a budget/),
    ]);
    expect(server.log).toEqual([]);
    writeExperiment(folder, server, {
      rate: { judge },
      models: { long: judge, short: "openai:gpt-4.1-mini" },
      compare: { judges: [judge], matches: [["long", "short"]] },
    });
    const small = await alpagasus(["run", "recipe.yaml", "--budget", "0.000001"], { cwd: folder.path, env });
    expect([small.code, small.stderr]).toEqual([
      2,
      expect.stringMatching(/--budget: expected at least \$.*"rate" is expected to need.*no call was made/),
    ]);
    expect(server.log).toEqual([]);
    const enough = await alpagasus(["run", "recipe.yaml", "--budget", "1", "--json"], { cwd: folder.path, env });
    expect(enough.code).toBe(0);
    const { rating, comparing } = endOf(enough).result!.money;
    expect(rating).toBeGreaterThan(0);
    expect(comparing).toBeGreaterThan(0);
    expect(server.bill.usd).toBeGreaterThan(0);
    writeFileSync(
      join(folder.path, "prompts.json"),
      JSON.stringify(Array.from({ length: 300 }, (_, id) => ({ id, instruction: `A prompt among many, ${id}` }))),
    );
    const recipe = readFileSync(join(folder.path, "recipe.yaml"), "utf8");
    writeFileSync(
      join(folder.path, "recipe.yaml"),
      recipe.replace("generate:\n", "generate:\n  max_output_tokens: 30\n"),
    );
    const before = server.bill.usd;
    const budget = before * 5;
    const short = await alpagasus(["run", "recipe.yaml", "--budget", String(budget), "--json"], {
      cwd: folder.path,
      env,
    });
    expect([short.code, short.stderr.split("\n").filter((line) => line.startsWith("alpagasus:"))]).toEqual([4, []]); // in the middle of something
    expect(server.bill.usd).toBeGreaterThan(before);
    expect(server.bill.usd).toBeLessThanOrEqual(budget);
  });

  test.runIf(isLong)(
    "rows that overlap a test prompt stop it before anything is trained or answered, unless they are removed",
    async () => {
      await using server = await startModelServer({ answer: play });
      using folder = tempFolder();
      const spoilt = "Tell in a few words of your own how a bicycle stays upright while it is ridden";
      writeExperiment(folder, server);
      const rows = JSON.parse(readFileSync(join(folder.path, "rows.json"), "utf8")) as object[];
      folder.write("rows.json", [...rows, { instruction: spoilt, input: "", output: "By steering." }]);
      folder.write("prompts.json", [
        { id: 1, instruction: spoilt },
        { id: 2, instruction: "Another one" },
      ]);
      const recipe = readFileSync(join(folder.path, "recipe.yaml"), "utf8");
      const refused = await run(folder);
      expect([refused.code, refused.stderr]).toEqual([
        2,
        expect.stringContaining("1 row of the data overlaps test prompts (60, from 0), and arms.full keeps all rows"),
      ]);
      expect(server.log).toHaveLength(0); // nothing was paid
      writeFileSync(join(folder.path, "recipe.yaml"), `${recipe}contamination: remove\n`);
      const removed = await run(folder);
      expect(removed.code).toBe(0);
      expect(endOf(removed).result!.arms.find(({ arm }) => arm === "full")!.rows).toBe(60);
      writeFileSync(join(folder.path, "recipe.yaml"), `${recipe}contamination: note\n`);
      const noted = await run(folder);
      expect(endOf(noted).result!.contamination).toMatchObject({ rows: 1 });
      expect(readFileSync(join(folder.path, "runs/small/report.html"), "utf8")).toContain("overlaps test prompts");
      writeExperiment(folder, server, {
        arms: { selected: { top: 10, per: "kategory" }, random: { method: "random" } },
      });
      const misspelt = await run(folder, "--dry-run");
      expect([misspelt.code, misspelt.stderr]).toEqual([2, expect.stringContaining("got kategory")]);
    },
  );

  test("says nothing of a comparison whose verdicts are missing, whatever stages are left out", async () => {
    let broken = true;
    await using server = await startModelServer({
      answer: (asked) =>
        broken && asked.model === "comparer" && /number \d*[5-9]\b/.test(asked.user)
          ? { kind: "status" as const, status: 400, message: "too long", code: "context_length_exceeded" }
          : play(asked),
    });
    using folder = tempFolder();
    writeExperiment(folder, server);
    const first = await run(folder);
    expect([first.code, endOf(first).result]).toEqual([3, null]);
    const part = await run(folder, "--only", "report");
    expect(part.code).toBe(3);
    const [match] = endOf(part).result!.matches;
    expect(match!.missing).toMatch(/of 12 prompts are decided/);
    expect([match!.pooled, ...match!.sets].map(({ conclusion }) => conclusion)).toEqual(
      Array(3).fill("nothing can be concluded"),
    );
    const status = await alpagasus(["status", "--run", "runs/small"], { cwd: folder.path });
    expect(status.stdout).toMatch(/next +alpagasus run recipe\.yaml/);
    broken = false;
    const whole = await run(folder, "--retry-failed");
    expect([whole.code, endOf(whole).result!.matches[0]!.missing]).toEqual([0, undefined]);
  });

  test.runIf(isLong)("stages can be taken as they are, or done again", async () => {
    await using server = await startModelServer({ answer: play });
    using folder = tempFolder();
    writeExperiment(folder, server);
    const early = await run(folder, "--from", "generate");
    expect([early.code, early.stderr]).toEqual([2, expect.stringContaining('expected "rate" to be done')]);
    await run(folder);
    writeExperiment(folder, server, {
      arms: { selected: { min_score: 4 }, random: { method: "random" }, full: { method: "full" } },
    });
    expect(doneIn(await run(folder, "--from", "generate"))).toEqual(["report"]);
    expect(doneIn(await run(folder, "--only", "select"))).toEqual(["select selected", "select random"]);
    const forced = await run(folder, "--force", "compare");
    expect(doneIn(forced)).toEqual(expect.arrayContaining([expect.stringContaining("compare long short"), "report"]));
    expect(endOf(forced).result).not.toBeNull();
    expect(endOf(await run(folder)).result).toEqual(endOf(forced).result);
    using fresh = tempFolder();
    writeExperiment(fresh, server);
    const only = await run(fresh, "--only", "report");
    expect([only.code, only.stderr]).toEqual([
      2,
      expect.stringMatching(/expected "rate" to be done before "report", found nothing/),
    ]);
  });
});

describe("recipes", () => {
  test("those that ship can be read, and their schema is the one that is published", async () => {
    const names = await listExperiments();
    expect(names).toEqual(
      expect.arrayContaining([
        "paper-7b",
        "paper-13b",
        "alpagasus2-qlora",
        "dolly",
        "claude-filter",
        "helpfulness",
        "size-curve",
        "laptop",
        "bake-off",
      ]),
    );
    for (const name of names) expect((await openExperiment(name)).name).toBe(name);
    const published = JSON.parse(readFileSync(packageFile("recipes/experiment.schema.json"), "utf8")) as object;
    expect(JSON.parse(JSON.stringify(experimentJsonSchema()))).toEqual(published);
  });

  test.each([
    ["paper-7b-published", [1.2125, 1.022, 1.06, 1.056], "5.7", "22.53"],
    ["paper-13b-published", [1.2125, 1.017, 1.133, 1.02], "5.5", "184.32"],
  ] as const)("%s gives the paper's figures", async (name, scores, faster, saved) => {
    using folder = tempFolder();
    const { code, stdout } = await alpagasus(["run", name], { cwd: folder.path });
    expect(code).toBe(0);
    expect(stdout).toContain(`${faster} times faster`);
    expect(stdout).toContain(`$${saved} cheaper`);
    const { result } = endOf(await alpagasus(["run", name, "--json"], { cwd: folder.path }));
    expect(result!.matches[0]!.sets.map(({ winningScore }) => winningScore.value)).toEqual(
      scores.map((score) => expect.closeTo(score, 2.9) as number),
    );
    expect(existsSync(join(folder.path, `runs/${name}/report.html`))).toBe(true);
  });

  test.runIf(isLong)("the paper's benchmarks are told with what their percentages can show", async () => {
    using folder = tempFolder();
    const { stdout } = await alpagasus(["run", "paper-7b-published"], { cwd: folder.path });
    expect(stdout).toContain("mmlu:5: full has 40.9 %, more than the 38.8 % of selected");
    expect(stdout).toContain("bbh:3: selected (33.8 %) and random (31.9 %) cannot be told apart");
    expect(stdout).toContain("11.69 % of full is no whole number of 164 items (19.17)");
    const { result } = endOf(await alpagasus(["run", "dolly-13b-published", "--json"], { cwd: folder.path }));
    expect(result!.sentence).toContain(
      "No answers were compared. Of 8 differences in benchmarks 3 hold after correction: selected above random in drop:3, selected above full in drop:3, selected above random in mmlu:5",
    );
    folder.write(
      "two.yaml",
      "name: two\nrecorded:\n  arms: { random: { rows: 9 }, one: { rows: 9 }, other: { rows: 9 } }\n  benchmarks: [{ task: t, items: 200, metric: f1, percent: { random: 33.33, one: 44, other: 90 } }]\n",
    );
    const { result: two } = endOf(await alpagasus(["run", "two.yaml", "--json"], { cwd: folder.path }));
    expect(two!.benchmarks![0]!.differences.map(({ a, b, trainings }) => [a, b, trainings])).toEqual([
      ["one", "random", null],
      ["one", "other", null],
      ["other", "random", null],
    ]);
    expect(two!.benchmarks![0]!.notes.join()).not.toContain("whole number");
    const { stdout: figures } = await alpagasus(["report", "--run", "runs/paper-7b-published", "--format", "csv"], {
      cwd: folder.path,
    });
    expect(figures).toMatch(/^benchmark,selected in mmlu:5,benchmark,0\.3878,0\.379\d*,0\.395\d*,,14042$/m);
    expect(figures).toMatch(/^experiment,selected against full by GPT-4 \(koala\),winning_score,1\.02/m);
  });

  test.each([
    ["name: x\ndata: rows.json\njudge: student\n", /bad\.yaml:3: expected name, version, .*, got judge$/],
    ["name: x\ndata: none.json\nrate: { judge: student }\n", /none\.json: no such file/],
    ["name: x\n", /bad\.yaml:1: data: expected data to work on/],
    [
      "name: x\nrecorded:\n  arms: { a: { rows: 3 } }\n  benchmarks:\n    - { task: t, items: 4, percent: { b: 50 } }\n",
      /bad\.yaml:5: recorded\.benchmarks\.0\.percent\.b: expected a, got b/,
    ],
    [
      "name: x\ndata: rows.json\nrate: { judge: student }\nscores: { d: { judge: 'ifd:smollm2', samples: 3 } }\narms: { a: { top: 3 } }\n",
      /bad\.yaml:4: scores\.d\.samples: expected a judge that replies with it, got ifd:smollm2; leave it out/,
    ],
    [
      'name: x\nrecorded:\n  arms: { a: { rows: 3 } }\n  benchmarks: [{ task: "a\\e[31mb", items: 4, percent: { a: 50 } }]\n',
      /bad\.yaml:4: recorded\.benchmarks\.0\.task: expected letters, digits/,
    ],
    ["name: x\nrecorded:\n  arms: { a: { rows: 3 } }\n", /bad\.yaml:2: recorded: expected comparisons or benchmarks/],
    [
      "name: x\ndata: rows.json\nrate: { judge: student }\narms:\n  __proto__: { top: 3 }\n",
      /bad\.yaml:5: expected another name than __proto__/,
    ],
    [
      "name: x\nrecorded:\n  arms: { a: { rows: 3 }, b: { rows: 4 } }\n  comparisons: [{ a: a, b: b, sets: [{ set: s, win: 1, tie: 1, lose: 1 }] }]\n",
      /bad\.yaml:\d: recorded: expected the judge of these comparisons, got none; add judge: NAME/,
    ],
    [
      "name: x\ndata: rows.json\nrate: { judge: student }\narms: { selected: {} }\n",
      /bad\.yaml:4: arms\.selected: expected min_score, top, quota or rows/,
    ],
    [
      "name: x\ndata: rows.json\nrate: { judge: student }\narms: { selected: { top: 900 } }\n",
      /bad\.yaml:4: arms\.selected\.top: expected at most the 10 rows of the data, got 900/,
    ],
    [
      "name: x\ndata: rows.json\nrate: { judge: student }\narms: { a: { method: random, like: b }, b: { method: random, like: a } }\n",
      /expected arms that do not copy each other's size/,
    ],
    [
      "name: x\ndata: rows.json\nrate: { judge: student }\narms: { a: { top: 3 } }\ntrain: { recipe: nope }\n",
      /bad\.yaml:5: train\.recipe: expected .*laptop.*got "nope"/,
    ],
    [
      "name: x\ndata: rows.json\nrate: { judge: student }\ncompare: { judges: [student] }\n",
      /bad\.yaml:4: compare: expected answers to compare/,
    ],
    [
      "name: x\ndata: rows.json\ntrain: { recipe: laptop }\ngenerate: { tests: [rows.json] }\nrate: { judge: student }\narms: { a: { top: 3 } }\n",
      /bad\.yaml:4: generate\.tests: expected prompts that are not training data, 10 of 10 are in the data/,
    ],
    [
      "name: x\ndata: rows.json\nrate: { judge: student }\narms: { a: { top: 3 }, b: { top: 4 } }\nmodels: { m: smollm2, n: smollm2 }\ngenerate: { tests: [vicuna] }\ncompare: { judges: [student], rubric: none.yaml }\n",
      /bad\.yaml:7: compare\.rubric: expected a judge that replies with it, got student/,
    ],
    [
      "name: x\ndata: rows.json\nrate: { judge: 'openai:gpt-4o' }\n",
      /openai:gpt-4o: expected a key in OPENAI_API_KEY, got none/,
    ],
    [
      "name: x\ndata: rows.json\nrate: { judge: student }\narms: { a: { top: 3 }, 3000: { top: 4 } }\n",
      /bad\.yaml:4: arms\.3000: expected a name with a letter in it/,
    ],
    [
      "name: x\ndata: rows.json\nrate: { judge: student }\narms: { a: { top: 3 }, b: { method: full, min_score: 2 } }\n",
      /bad\.yaml:4: arms\.b: min_score: goes with method score/,
    ],
    [
      "name: x\ndata: rows.json\nrate: { judge: student }\narms: { a: { top: 3 } }\ntrain: { recipe: laptop, seeds: [1, 1] }\n",
      /bad\.yaml:5: train\.seeds\.1: expected each once/,
    ],
    [
      "name: x\ndata: rows.json\nrate: { judge: student }\narms: { a: { top: 3 } }\ntrain: { recipe: laptop, base: ./none }\n",
      /--base: expected a folder with a model/,
    ],
    [
      "name: x\ndata: rows.json\nmodels: { m: nothing }\ngenerate: { tests: [vicuna] }\n",
      /bad\.yaml:3: models\.m: expected a model of/,
    ],
    [
      "name: x\ndata: rows.json\nmodels: { m: smollm2, n: smollm2 }\ngenerate: { tests: [vicuna] }\ncompare: { judges: [gpt-4o] }\n",
      /bad\.yaml:5: compare\.judges: expected .*got "gpt-4o"/,
    ],
    [
      "name: x\nrecorded: { judge: j, arms: { a: { rows: 5 }, b: { rows: 9 } }, comparisons: [{ a: a, b: b, sets: [{ set: s, win: -1, tie: 0, lose: 0 }] }] }\n",
      /bad\.yaml:2: recorded\.comparisons\.0\.sets\.0\.win/,
    ],
    [
      "name: x\ndata: rows.json\nrate: { judge: student }\narms: { a: { top: 0.2 } }\n",
      /bad\.yaml:4: arms\.a\.top: expected how many rows, or a share of all, as in 9000 or 10%, got 0\.2$/,
    ],
    [
      "name: x\ndata: rows.json\nrate: { judge: student }\narms: { a: { top: 200% } }\n",
      /bad\.yaml:4: arms\.a\.top: expected .*, got "200%"$/,
    ],
    [
      "name: x\ndata: rows.json\nrate: { judge: student }\narms:\n  Random arm: { top: 3 }\n",
      /bad\.yaml:5: arms\.Random arm: expected a name of at most 100 letters.*, got "Random arm"$/,
    ],
    [
      "name: x\ndata: rows.json\nrate: { judge: student }\nbudget: 5\n",
      /bad\.yaml:4: expected budget_usd, got budget \(the fields are name, /,
    ],
    [
      'name: x\ndata: rows.json\nrate: { judge: student }\nprices: { "openai:x": { in: 1 } }\n',
      /bad\.yaml:4: prices\.openai:x: expected input, output, got in$/,
    ],
    [
      "name: x\ndata: rows.json\nrate: { judge: student }\narms: { a: { method: randon, top: 3 } }\n",
      /bad\.yaml:4: arms\.a\.method: expected score, random, .*, got "randon"; did you mean random\?$/,
    ],
    [
      "name: x\ndata: rows.json\nrate: { judge: student }\nmap: { instuction: output }\n",
      /bad\.yaml:4: map: expected instruction, got instuction/,
    ],
    [
      "name: x\ndata: rows.json\nrate: { judge: student }\narms: [a]\n",
      /bad\.yaml:4: arms: expected fields with values, got a list$/,
    ],
    [
      "name: x\ndata: rows.json\nrate: { judge: student }\nbudget_usd: -1\n",
      /bad\.yaml:4: budget_usd: expected at least 0, got -1$/,
    ],
    ["name: x\ndata: rows.json\nrate: { judge: studnt }\n", /bad\.yaml:3: rate\.judge: expected .*, got "studnt"$/],
    [
      "name: x\ndata: rows.json\nrate: { judge: student, rubric: nope }\n",
      /bad\.yaml:3: rate\.rubric: expected a judge that replies with it, got student; leave it out$/,
    ],
    [
      'name: x\ndata: rows.json\nrate: { judge: "openai:gpt-4o", logprobs: true, samples: 3 }\n',
      /bad\.yaml:3: rate\.samples: expected either logprobs or samples/,
    ],
    [
      'name: x\ndata: rows.json\nrate: { judge: student }\nscores: { q: { judge: "column:qualty" } }\narms: { a: { top: 3, by: q } }\n',
      /bad\.yaml:4: scores\.q\.judge: expected a column of the data \(id, instruction, input, output\), got qualty$/,
    ],
    [
      'name: x\ndata: rows.json\nrate: { judge: student }\narms: { a: { top: 3, by: "zscroe(score)" } }\n',
      /bad\.yaml:4: arms\.a\.by: .*zscroe/,
    ],
    [
      'name: x\ndata: rows.json\nrate: { judge: student }\narms: { a: { top: 3, where: "score >>> 1" } }\n',
      /bad\.yaml:4: arms\.a\.where: .*>>>/,
    ],
    [
      'name: x\ndata: rows.json\nrate: { judge: student }\narms: { a: { top: 3, by: "avg(score)" } }\n',
      /bad\.yaml:4: arms\.a\.by: expected a value for each row/,
    ],
    [
      "name: x\ndata: rows.json\nrate: { judge: student }\narms: { a: { top: 3, by: instruction } }\n",
      /bad\.yaml:4: arms\.a\.by: Could not convert/,
    ],
    ["name: [\n", /bad\.yaml:\d+: expected YAML/],
  ])("a bad one is one line, before anything is asked: %j", async (text, message) => {
    using folder = tempFolder();
    folder.write(
      "rows.json",
      Array.from({ length: 10 }, (_, i) => ({
        id: i,
        instruction: `Say how many apples lie in basket number ${i} on the old table`,
        input: "",
        output: "x",
      })),
    );
    folder.write("bad.yaml", text);
    const { code, stdout, stderr } = await misuse(["run", "bad.yaml"], { cwd: folder.path });
    expect(code).toBe(2);
    expect(existsSync(join(folder.path, "runs/x/ratings.jsonl"))).toBe(false);
    expect(`${stderr}${stdout}`).toMatch(new RegExp(message.source.replace(/\$$/, ""), "m"));
    expect(stderr.split("\n").filter((line) => line.startsWith("alpagasus:")).length).toBeLessThanOrEqual(1);
    expect(stderr).not.toContain("    at ");
  });

  test.runIf(isLong)("a control may stand first, and a judge's address may be spelled otherwise", async () => {
    await using server = await startModelServer({ answer: play });
    using folder = tempFolder();
    const judge = `${server.origin}/v1/#comparer`;
    writeExperiment(folder, server, {
      arms: { random: { method: "random" }, selected: { min_score: 3 }, full: { method: "full" } },
      compare: { judges: [judge], matches: [["long", "short"]] },
    });
    expect((await run(folder)).code).toBe(0);
    const again = await run(folder);
    expect([again.code, doneIn(again)]).toEqual([0, []]);
  });

  test.runIf(isLong)("what is edited while a task runs is done again", async () => {
    using folder = tempFolder();
    let asked = 0;
    await using server = await startModelServer({
      answer(question) {
        if (++asked === 20) {
          const rows = JSON.parse(readFileSync(join(folder.path, "rows.json"), "utf8")) as { output: string }[];
          rows[50]!.output = "edited meanwhile";
          writeFileSync(join(folder.path, "rows.new"), JSON.stringify(rows));
          renameSync(join(folder.path, "rows.new"), join(folder.path, "rows.json"));
        }
        return play(question);
      },
    });
    writeExperiment(folder, server);
    await run(folder);
    const { stdout } = await alpagasus(["run", "recipe.yaml", "--dry-run"], { cwd: folder.path });
    expect(stdout).toMatch(/rate +due .*data changed/);
    expect((await run(folder)).code).toBe(0);
  });

  test.runIf(isLong)("calls that failed are asked again when that is wanted", async () => {
    let isBroken = true;
    await using server = await startModelServer({
      answer: (question) =>
        isBroken && question.user.includes("number 3") && question.model === "long"
          ? { kind: "status", status: 400, message: "too long", code: "context_length_exceeded" }
          : play(question),
    });
    using folder = tempFolder();
    writeExperiment(folder, server, { generate: { tests: ["prompts.json"], min_coverage: 0.5 }, compare: undefined });
    expect((await run(folder)).code).toBe(0);
    isBroken = false;
    expect(doneIn(await run(folder))).toEqual([]);
    expect(doneIn(await run(folder, "--retry-failed"))).toEqual(expect.arrayContaining(["generate long", "report"]));
  });

  test("two ways to name the stages are one too many", async () => {
    using folder = tempFolder();
    const { code, stderr } = await misuse(["run", "laptop", "--only", "select", "--from", "rate"], {
      cwd: folder.path,
    });
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^alpagasus: --only: .*--from.*leave one of them out/)]);
  });

  test("a machine without uv is told of it before anything is done, and can plan", async () => {
    using folder = tempFolder();
    folder.write(
      "rows.json",
      Array.from({ length: 10 }, (_, i) => ({ instruction: `Say ${i}`, input: "", output: "x" })),
    );
    folder.write(
      "recipe.yaml",
      "name: x\ndata: rows.json\nrate: { judge: student }\narms: { a: { top: 3 } }\ntrain: { recipe: laptop }\n",
    );
    const without = { cwd: folder.path, env: { PATH: folder.path } };
    expect((await alpagasus(["run", "recipe.yaml", "--dry-run"], without)).code).toBe(0);
    const { code, stderr } = await alpagasus(["run", "recipe.yaml"], without);
    expect([code, stderr]).toEqual([1, expect.stringContaining("uv: expected it on the PATH")]);
    expect(existsSync(join(folder.path, "runs/x/ratings.jsonl"))).toBe(false);
  });

  test.runIf(isLong)("init writes one for the data, which can be planned as it is", async () => {
    using folder = tempFolder();
    folder.write(
      "rows.json",
      Array.from({ length: 10 }, (_, i) => ({ instruction: `Say ${i}`, input: "", output: "x" })),
    );
    const made = await alpagasus(["init", "rows.json", "--out", "plans/mine.yaml"], { cwd: folder.path });
    expect([made.code, made.stderr]).toEqual([2, expect.stringContaining("plans/mine.yaml")]); // no such folder
    expect((await alpagasus(["init", "rows.json"], { cwd: folder.path })).code).toBe(0);
    const plan = await alpagasus(["run", "recipe.yaml", "--dry-run"], { cwd: folder.path });
    expect([plan.code, plan.stdout]).toEqual([0, expect.stringContaining("tasks are due")]);
    const again = await alpagasus(["init", "rows.json"], { cwd: folder.path });
    expect([again.code, again.stderr]).toEqual([2, expect.stringContaining("expected no file there yet")]);
    expect(readdirSync(folder.path).toSorted()).toEqual(["recipe.yaml", "rows.json"]);
  });

  test.runIf(isLong)("init writes one for data of which a part cannot be read, and says how it is called", async () => {
    using folder = tempFolder();
    const image = { role: "user", content: [{ type: "image_url", image_url: { url: "x" } }] };
    const chat = (i: number) => [
      i % 3 === 0 ? image : { role: "user", content: `Say ${i}` },
      { role: "assistant", content: `${i}` },
    ];
    folder.write(
      "rows.jsonl",
      Array.from({ length: 30 }, (_, i) => `${JSON.stringify({ messages: chat(i) })}\n`).join(""),
    );
    expect((await alpagasus(["init", "rows.jsonl"], { cwd: folder.path })).code).toBe(2);
    const made = await alpagasus(["init", "rows.jsonl", "--unreadable", "skip", "--out", "it's mine.yaml"], {
      cwd: folder.path,
    });
    expect([made.code, made.stdout]).toEqual([0, expect.stringContaining(`alpagasus run 'it'\\''s mine.yaml'`)]);
    const rated = await alpagasus(["run", "it's mine.yaml", "--only", "rate"], { cwd: folder.path });
    expect([rated.code, rated.stdout]).toEqual([0, expect.stringContaining("These stages are done")]);
  });
});

test.runIf(isLong)("a recipe that only selects says so, and a part of one says how to go on", async () => {
  using folder = tempFolder();
  folder.write(
    "rows.json",
    Array.from({ length: 20 }, (_, i) => ({ instruction: `Ask ${i}`, input: "", output: `Say ${i}`, score: i % 4 })),
  );
  const recipe = folder.write(
    "recipe.yaml",
    stringify({
      name: "chosen",
      data: "rows.json",
      rate: { judge: "column:score", scale: [0, 3] },
      arms: { best: { top: 5 }, random: { method: "random" } },
    }),
  );
  const part = await alpagasus(["run", recipe, "--only", "rate"], { cwd: folder.path });
  expect([part.code, part.stdout]).toEqual([
    0,
    expect.stringContaining("without --only and --from, the same command") as string,
  ]);
  const { code, stdout } = await alpagasus(["run", recipe], { cwd: folder.path });
  expect(code).toBe(0);
  expect(stdout).toContain("2 arms were selected; the recipe trains and compares nothing");
  expect(stdout).toContain("arms    runs/chosen/arms");
  expect(stdout).not.toMatch(/time per training|Should I trust/);
});
