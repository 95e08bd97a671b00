import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { toArenaHardJudgments } from "../../src/comparison/leaderboard-formats.ts";
import type { PairVerdict } from "../../src/comparison/verdict.ts";
import { openPairRubric, parsePairRubric } from "../../src/rubric/open-rubric.ts";
import { readVerdict } from "../../src/rubric/read-verdict.ts";
import type { ComparisonSummary } from "../../src/run/records/comparison.ts";
import { alpagasus, misuse } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { startModelServer, type Answer, type Asked } from "../helpers/model-server.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* AlpacaEval 2 and Arena-Hard by our engine: their prompts, their way of reading, their figures, their files. */

interface Annotated {
  readonly published: number;
  readonly raw: number;
  readonly preference: readonly number[];
  readonly length: readonly number[];
}

const { baselineLength, models } = JSON.parse(
  gunzipSync(readFileSync(new URL("../stats/fixtures/alpacaeval-annotations.json.gz", import.meta.url))).toString(),
) as { readonly baselineLength: readonly number[]; readonly models: Readonly<Record<string, Annotated>> };

/** A text of this length that tells whose answer to which prompt it is. */
function textOf(who: string, i: number, length: number): string {
  const head = `${who} ${i}.`;
  return length <= head.length ? head.slice(0, length).padEnd(length, ".") : head.padEnd(length, " word");
}

/** Answers as AlpacaEval keeps a model's outputs. */
function outputsOf(who: string, lengths: readonly number[]): object[] {
  return lengths.map((length, i) => ({
    dataset: "helpful_base",
    instruction: `Prompt number ${i}?`,
    output: textOf(who, i, length),
    generator: who,
  }));
}

/** AlpacaEval's judge, which gives the published preferences back as token probabilities. */
function replay(preferences: readonly number[], reference: string): (asked: Asked) => Answer {
  return ({ user, body }) => {
    const i = Number(/Prompt number (\d+)\?/.exec(user)![1]);
    const isModelFirst = !user.includes(`"model_identifier": "m",\n        "output": """${reference}`);
    const first = isModelFirst ? preferences[i]! : 1 - preferences[i]!;
    expect(body).toMatchObject({ logprobs: true, top_logprobs: 5, max_tokens: 1, temperature: 1 });
    const top = [
      { token: "m", logprob: Math.log(first * 0.98 + 1e-300) },
      { token: "M", logprob: Math.log((1 - first) * 0.98 + 1e-300) },
      { token: "The", logprob: Math.log(0.02) },
    ].toSorted((a, b) => b.logprob - a.logprob);
    return {
      kind: "reply",
      text: top[0]!.token,
      finish: "length", // of one token
      logprobs: [{ ...top[0]!, top_logprobs: top }],
    };
  };
}

/** The exit code and the message of a command that is refused. */
async function refusal(args: readonly string[], options: Parameters<typeof misuse>[1]): Promise<string> {
  const { code, stderr } = await misuse(args, options);
  return `${code} ${stderr}`;
}

const whole = Object.entries(models).filter(([, { preference }]) => preference.length === baselineLength.length);

describe("an AlpacaEval 2 run", () => {
  test("gives the published win rate and its length-controlled one, and is read back as annotations", async () => {
    const [name, { preference, length, raw, published }] = whole.find(([one]) => one === "OpenHermes-2.5-Mistral-7B")!;
    await using server = await startModelServer({ answer: replay(preference, "reference") });
    using folder = tempFolder();
    folder.write("model.json", outputsOf("model", length));
    folder.write("reference.json", outputsOf("reference", baselineLength));
    const judged = ["--judge", server.judge, "--rubric", "alpaca-eval", "--alpaca-eval", "annotations.json"];
    const { code, stdout, stderr } = await alpagasus(["compare", "model.json", "reference.json", ...judged, "--json"], {
      cwd: folder.path,
    });
    expect({ name, code, stderr }, stdout).toEqual({
      name,
      code: 0,
      stderr: "alpagasus: wrote the verdicts on 805 prompts to annotations.json\n",
    });
    expect(server.log).toHaveLength(805); // one order each
    const { pooled, notes } = JSON.parse(stdout) as ComparisonSummary;
    expect(100 * pooled.gradedWinRate!.value!).toBeCloseTo(raw, 2);
    const { low, high } = pooled.length!.controlledWinRate;
    expect([100 * low! < published, published < 100 * high!]).toEqual([true, true]);
    expect(notes.join()).toContain("judged in one order");
    expect(pooled.orders.first / (pooled.orders.first + pooled.orders.second)).toBeGreaterThan(0.4); // drawn at random
    expect(pooled.orders.first / (pooled.orders.first + pooled.orders.second)).toBeLessThan(0.6);

    const written = JSON.parse(readFileSync(`${folder.path}/annotations.json`, "utf8")) as object[];
    expect(written[7]).toMatchObject({
      dataset: "helpful_base",
      instruction: "Prompt number 7?",
      generator_1: "reference",
      generator_2: "model",
      output_2: textOf("model", 7, length[7]!),
    });
    const rows = written as { preference: number }[];
    expect((100 * rows.reduce((sum, row) => sum + row.preference - 1, 0)) / rows.length).toBeCloseTo(raw, 2); // as AlpacaEval's get_winrate counts
    const again = await alpagasus(["compare", "--reviews", "annotations.json", "--json"], { cwd: folder.path });
    const { a, b, pooled: recounted } = JSON.parse(again.stdout) as ComparisonSummary;
    expect([a, b]).toEqual(["model", "reference"]); // A is the model, whichever stands first in the file
    expect(recounted.gradedWinRate!.value).toBeCloseTo(pooled.gradedWinRate!.value!, 10);
    expect(recounted.length!.controlledWinRate.value).toBeCloseTo(pooled.length!.controlledWinRate.value!, 10);
  });

  test("needs token probabilities, and reads neither token as no verdict", async () => {
    using folder = tempFolder();
    folder.write("a.json", outputsOf("a", [20, 30]));
    folder.write("b.json", outputsOf("b", [20, 30]));
    const args = ["compare", "a.json", "b.json", "--rubric", "alpaca-eval", "--judge"];
    expect(
      await refusal([...args, "anthropic:claude-haiku-4-5", "--budget", "1"], {
        cwd: folder.path,
        env: { ANTHROPIC_API_KEY: "x" },
      }),
    ).toMatch(
      /^2 .*--rubric alpaca-eval: expected a model that returns token probabilities .* got anthropic:claude-haiku-4-5/,
    );
    const rubric = await openPairRubric("alpaca-eval");
    const probabilities = [{ token: "The", logprob: -0.1, top: [["The", -0.1] as const] }];
    expect(readVerdict("The", "length", rubric, probabilities)).toMatchObject({ state: "unparsable" });
    expect(readVerdict("m", "stop", rubric)).toMatchObject({ state: "unparsable" });
  });
});

/** Arena-Hard's files: questions, answers of two models (v2.0's chats and v0.1's choices). */
function writeArena(folder: TempFolder, count: number): void {
  const lines = (row: (i: number) => object) =>
    Array.from({ length: count }, (_, i) => JSON.stringify(row(i))).join("\n");
  folder.write(
    "question.jsonl",
    lines((i) => ({ uid: `u${i}`, category: i % 3 ? "hard_prompt" : "creative_writing", prompt: `Question ${i}?` })),
  );
  folder.write(
    "mine.jsonl",
    lines((i) => ({
      uid: `u${i}`,
      model: "mine",
      messages: [
        { role: "user", content: `Question ${i}?` },
        { role: "assistant", content: { answer: `mine ${i}` } },
      ],
    })),
  );
  folder.write(
    "baseline.jsonl",
    lines((i) => ({ question_id: `u${i}`, choices: [{ index: 0, turns: [{ content: `baseline ${i}` }] }] })),
  );
}

/** Which grade Arena-Hard's judge gives for `mine`, from its side, by the prompt and the order. */
function gradeFor(i: number, isMineFirst: boolean): string {
  const own = [">>", ">", "=", "<", "<<"][(i * 7 + (isMineFirst ? 1 : 0)) % 5]!;
  if (own === "=") return "A=B";
  const isMineBetter = own.startsWith(">");
  return isMineBetter === isMineFirst ? `A${">".repeat(own.length)}B` : `B${">".repeat(own.length)}A`;
}

describe("an Arena-Hard run", () => {
  const count = 60;
  const answer = ({ user, system }: Asked): string => {
    const i = Number(/Question (\d+)\?/.exec(user)![1]);
    expect(system.includes("generating your own answer")).toBe(i % 3 !== 0); // creative writing has a prompt of its own
    return `My own answer. Perhaps [[A=B]]?\n\nMy final verdict is: [[${gradeFor(i, user.indexOf("mine") < user.indexOf("baseline"))}]].`;
  };

  test("counts clear preferences three times, as the leaderboard does, and its files are read and written", async () => {
    await using server = await startModelServer({ answer });
    using folder = tempFolder();
    writeArena(folder, count);
    const judged = ["--judge", server.judge, "--rubric", "arena-hard", "--questions", "question.jsonl"];
    const { code, stdout } = await alpagasus(
      ["compare", "mine.jsonl", "baseline.jsonl", ...judged, "--arena-hard", "judged.jsonl", "--json"],
      { cwd: folder.path },
    );
    expect(code).toBe(0);
    const { pooled, categories } = JSON.parse(stdout) as ComparisonSummary;
    expect(server.log).toHaveLength(2 * count);
    /** By hand: as `show_result.py` counts battles. */
    const battles = (chosen: (i: number) => boolean) =>
      Array.from({ length: count }, (_, i) => i)
        .filter(chosen)
        .flatMap((i) =>
          [false, true].flatMap((isMineFirst) => {
            const grade = gradeFor(i, isMineFirst);
            const isMine = grade.startsWith("A") === isMineFirst;
            const score = grade.includes("=") ? 0.5 : isMine ? 1 : 0;
            return Array.from({ length: grade.includes(">>") ? 3 : 1 }, () => score);
          }),
        );
    const mean = (scores: readonly number[]) => scores.reduce((sum, one) => sum + one, 0) / scores.length;
    expect(pooled.gradedWinRate!.value).toBeCloseTo(mean(battles(() => true)), 12);
    const creative = categories.find(({ group }) => group === "creative_writing")!;
    expect(creative.gradedWinRate!.value).toBeCloseTo(mean(battles((i) => i % 3 === 0)), 12);

    const written = parseLines<{ uid: string; category: string; games: { score: string }[] }>(
      readFileSync(`${folder.path}/judged.jsonl`, "utf8"),
    );
    expect(written).toHaveLength(count);
    for (const { uid, games } of written) {
      const i = Number(uid.slice(1));
      expect(games).toEqual([{ score: gradeFor(i, false) }, { score: gradeFor(i, true) }]); // the baseline first, then the model
    }
    const again = await alpagasus(["compare", "--reviews", "judged.jsonl", "--json"], { cwd: folder.path });
    const recounted = JSON.parse(again.stdout) as ComparisonSummary;
    expect(recounted.pooled).toMatchObject({ counts: pooled.counts, orders: pooled.orders });
    expect(recounted.pooled.gradedWinRate).toEqual(pooled.gradedWinRate);
    expect([recounted.a, recounted.b]).toEqual(["mine", "baseline"]);
    const csv = await alpagasus(["report", "--format", "csv"], { cwd: folder.path });
    expect(csv.stdout).toContain(`graded_win_rate,${pooled.gradedWinRate!.value},`);
    const before = readFileSync(`${folder.path}/judged.jsonl`, "utf8");
    const once = [...judged, "--arena-hard", "judged.jsonl"];
    const same = await alpagasus(["compare", "mine.jsonl", "baseline.jsonl", ...once], { cwd: folder.path });
    expect([same.code, server.log.length]).toEqual([0, 2 * count]); // its own file may be replaced, and nothing is asked again
    expect(readFileSync(`${folder.path}/judged.jsonl`, "utf8")).toBe(before);
    const turned = await alpagasus(["compare", "baseline.jsonl", "mine.jsonl", ...once], { cwd: folder.path });
    expect([turned.code, turned.stderr]).toEqual([2, expect.stringContaining("or the verdicts of this comparison")]);
  });

  test("names the test set in its uids where test sets count from 1 each", () => {
    const verdict = (set: string, id: string) => ({ set, id, outcome: "tie", orders: [] }) as unknown as PairVerdict;
    const uids = (...verdicts: PairVerdict[]) =>
      parseLines<{ uid: string }>(toArenaHardJudgments(verdicts, { a: "a", b: "b", judge: "j" })).map(({ uid }) => uid);
    expect(uids(verdict("one", "1"), verdict("two", "2"))).toEqual(["1", "2"]);
    expect(uids(verdict("one", "1"), verdict("two", "1"))).toEqual(["one:1", "two:1"]);
  });

  test("of published judgements reads grades that a game lacks as no verdict", async () => {
    using folder = tempFolder();
    const game = (score: string | null) => ({ score, judgment: { answer: `[[${score}]]` } });
    const rows = [
      { uid: "1", category: "math", judge: "gpt-4.1", model: "m", baseline: "b", games: [game("B>>A"), game("A>B")] },
      { uid: "2", category: "math", judge: "gpt-4.1", model: "m", baseline: "b", games: [game("A>B"), null] },
      { uid: "3", category: "math", judge: "gpt-4.1", model: "m", baseline: "b", games: [game("A<B"), game("A=B")] },
    ];
    folder.write("m.jsonl", rows.map((row) => JSON.stringify(row)).join("\n"));
    const { stdout } = await alpagasus(["compare", "--reviews", "m.jsonl", "--alpaca-eval", "out.json", "--json"], {
      cwd: folder.path,
    });
    const { pooled, states } = JSON.parse(stdout) as ComparisonSummary;
    expect(pooled.counts).toEqual({ win: 2, tie: 0, lose: 0, undecided: 1 });
    expect(states).toEqual({ judged: 5, unparsable: 1 });
    expect(pooled.gradedWinRate!.value).toBeCloseTo((3 + 1 + 1 + 0.5) / 6, 12);
    const written = JSON.parse(readFileSync(`${folder.path}/out.json`, "utf8")) as { preference: number | null }[];
    expect(written.map(({ preference }) => preference)).toEqual([2, null, 1.75]);
    const published = readFileSync(`${folder.path}/m.jsonl`, "utf8");
    for (const over of [
      ["--arena-hard", "m.jsonl"],
      ["--alpaca-eval", "out.json"],
    ]) {
      const refused = await refusal(["compare", "--reviews", "m.jsonl", ...over], { cwd: folder.path });
      expect(refused).toMatch(/^2 .*expected no file, got another one, which stays as it is/);
    }
    expect(readFileSync(`${folder.path}/m.jsonl`, "utf8")).toBe(published); // the judge's words are in it
  });
});

describe("Arena-Hard's labels", () => {
  /** As `gen_judgment.py` finds them and `show_result.py` counts them. */
  test.each([
    ["[[A>>B]]", "first", 3],
    ["**[[b>a]]**", "second", 1],
    ["[[A<<B]]", "second", 3],
    ["[[B<A]]", "first", 1],
    ["At first [[A>B]]. On reflection: [[B=A]]", "draw", 1],
    ["Perhaps [[A>>B]], no. Final: [[A<B]]", "second", 1],
    ["My verdict: [B>>A]", "second", 3],
    ["[A>B] rather [[A=B]], as in [B>A]", "draw", 1], // double brackets go before single ones
  ] as const)("%s", async (text, preference, weight) => {
    const read = readVerdict(text, "stop", await openPairRubric("arena-hard"));
    expect(read).toMatchObject({ state: "judged", preference, weight });
  });

  test.each(["no label", "[[A>A]]", "[[A><B]]", "[[C]]", "[[A>B]] or [[>>]]"])("%s is none", async (text) => {
    expect(readVerdict(text, "stop", await openPairRubric("arena-hard"))).toMatchObject({ state: "unparsable" });
  });
});

test("an answer that is null is left out, in both of Arena-Hard's layouts", async () => {
  using folder = tempFolder();
  writeArena(folder, 4);
  const change = (name: string, from: string, to: string) =>
    folder.write(name, readFileSync(`${folder.path}/${name}`, "utf8").replace(from, to));
  change("mine.jsonl", '{"answer":"mine 1"}', '{"answer":null}');
  change("baseline.jsonl", '"baseline 2"', "null");
  const args = ["compare", "mine.jsonl", "baseline.jsonl", "--questions", "question.jsonl", "--json"];
  const { stdout } = await alpagasus(args, { cwd: folder.path });
  expect(JSON.parse(stdout)).toMatchObject({ pooled: { pairs: 2 }, missing: 2 });
});

test("files for leaderboards are of one comparison, end as they must, and replace no others", async () => {
  using folder = tempFolder();
  for (const name of ["a", "b", "c"]) folder.write(`${name}.json`, outputsOf(name, [20, 30]));
  const options = { cwd: folder.path };
  const answers = readFileSync(`${folder.path}/a.json`, "utf8");
  const over = await refusal(["compare", "a.json", "b.json", "--alpaca-eval", "a.json"], options);
  expect(over).toMatch(/^2 .*--alpaca-eval: a.json: expected no file, or the verdicts of this comparison from before/);
  expect(readFileSync(`${folder.path}/a.json`, "utf8")).toBe(answers);
  for (let i = 0; i < 2; i++)
    expect((await misuse(["compare", "a.json", "b.json", "--alpaca-eval", "own.json"], options)).code).toBe(0); // its own file again
  expect(await refusal(["compare", "a.json", "b.json", "c.json", "--alpaca-eval", "x.json"], options)).toMatch(
    /^2 .*two files of answers and one judge, got 3 and 1/,
  );
  expect(await refusal(["compare", "a.json", "b.json", "--arena-hard", "x.json"], options)).toMatch(
    /^2 .*--arena-hard: expected a name that ends in .jsonl/,
  );
  expect(
    await refusal(
      [
        "compare",
        "a.json",
        "b.json",
        "--judge",
        "http://127.0.0.1:9/v1#m",
        "--rubric",
        "alpaca-eval",
        "--arena-hard",
        "x.jsonl",
      ],
      options,
    ),
  ).toMatch(/^2 .*--arena-hard: expected a rubric that judges both orders/);
});

test("a rubric that says it asks in both orders has the hash of one that says nothing", () => {
  const text = [
    "name: x",
    "version: 1",
    "description: x",
    'user: "{{ answer_1 }} {{ answer_2 }}"',
    'reply: { format: choice, first: "[[A]]", second: "[[B]]", tie: "[[C]]" }',
  ];
  const hashOf = (...more: string[]) => parsePairRubric([...text, ...more].join("\n"), "x.yaml").hash;
  expect(hashOf("orders: both")).toBe(hashOf());
  expect(hashOf("orders: random")).not.toBe(hashOf());
});
