import { appendFileSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kappaOfAll, kappaOfTwo, winRateByPeople, type LabelsByPair } from "../../src/comparison/label-agreement.ts";
import { LabelWriter, readLabelFile, type PairLabel } from "../../src/comparison/label-file.ts";
import { hashAnswers, orderForAnnotator } from "../../src/comparison/label-sample.ts";
import { matchOutcomes } from "../../src/comparison/match-outcomes.ts";
import { readPeople } from "../../src/comparison/labels.ts";
import { readVerdicts } from "../../src/comparison/verdicts-file.ts";
import { fleissKappa } from "../../src/stats/fleiss-kappa.ts";
import { createRandom } from "../../src/stats/random.ts";
import { alpagasus, prepare } from "../helpers/command-line.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";
import { isLong } from "../helpers/long.ts";

let folder: TempFolder;
beforeAll(() => {
  folder = tempFolder();
});
afterAll(() => folder[Symbol.dispose]());

const first: PairLabel = {
  a: "m",
  b: "t",
  annotator: "ann",
  set: "koala",
  id: "1",
  label: "A",
  left: "A",
  repeat: false,
  answers: "x",
  by: "set",
  at: "2026-01-01T00:00:00Z",
  ms: 5,
};
const label = (id: string, more: Partial<PairLabel> = {}): PairLabel => ({ ...first, id, ...more });

describe("an annotator's file", () => {
  const write = (path: string, ...ids: string[]) => {
    using writer = new LabelWriter(path);
    for (const id of ids) writer.append(label(id, { note: "größer" }));
  };
  const idsOf = (path: string) => readLabelFile(path).map(({ id }) => id);

  test("a torn end is cut off, also after bytes that are no text; a whole line without its end stays", () => {
    const path = `${folder.path}/one.jsonl`;
    write(path, "1", "2");
    appendFileSync(path, '{"a":"m","b":"t","note":"gr\u00f6');
    write(path, "3");
    expect(idsOf(path)).toEqual(["1", "2", "3"]);
    truncateSync(path, readFileSync(path).length - 1); // as some editors leave it
    expect(idsOf(path)).toEqual(["1", "2", "3"]);
    write(path, "4");
    expect(idsOf(path)).toEqual(["1", "2", "3", "4"]);
    const bytes = readFileSync(path);
    bytes[bytes.indexOf("größer") + 2] = 0xff; // no letter any more
    writeFileSync(path, Buffer.concat([bytes, Buffer.from('{"a":')]));
    write(path, "5");
    expect(idsOf(path)).toEqual(["1", "2", "3", "4", "5"]);
  });

  test("sides differ from comparison to comparison, and are drawn anew for a second showing", () => {
    const pairs = Array.from({ length: 200 }, (_, i) => ({ set: "s", id: String(i), answers: "x" }));
    const sides = (salt: string) =>
      orderForAnnotator(pairs, { annotator: "ann", salt, repeats: 0.1 }).map(({ left }) => left);
    expect(sides("x")).toHaveLength(220);
    expect(sides("x")).toEqual(sides("x"));
    expect(sides("x")).not.toEqual(sides("y"));
    expect(sides("x").filter((side) => side === "A").length).toBeGreaterThan(80);
  });
});

describe("several people", () => {
  test("labels without a set are about the pairs of that id; a file counts once", async () => {
    const rows = Array.from({ length: 20 }, (_, i) => ({ id: i, label: "A" }));
    folder.write(
      "with.json",
      rows.map((row) => ({ ...row, set: "koala" })),
    );
    folder.write(
      "without.json",
      rows.map((row) => ({ ...row, label: "B" })),
    );
    const paths = ["with.json", "without.json"].map((name) => `${folder.path}/${name}`);
    const most = await readPeople(paths, ["m", "t"]);
    expect(most.size).toBe(20);
    expect(new Set(most.values())).toEqual(new Set(["undecided"]));
    await expect(readPeople([paths[0]!, paths[0]!], ["m", "t"])).rejects.toThrow("got the file again");
    const words = folder.write("words.jsonl", `{"id":"1","label":"A"}\n`);
    for (const arms of [
      ["b", "a"],
      ["A2", "A"],
      ["tie", "m"],
      ["m", "left"],
    ] as const)
      await expect(readPeople([words], arms)).rejects.toThrow("names are not read as other labels");
    expect([...(await readPeople([words], ["a", "b"])).values()]).toEqual(["win"]);
    folder.write("vicuna.json", [{ id: 3, label: "A", set: "vicuna" }]);
    await expect(readPeople([`${folder.path}/vicuna.json`, ...paths], ["m", "t"])).rejects.toThrow(
      'expected "set" in labels whose id several sets have, got id 3',
    );
    const pairs = ["koala", "vicuna"].map((set) => ({ set, id: "3" }));
    const alone = { name: "without.json", outcomes: await readPeople([paths[1]!], ["m", "t"]) };
    expect(() => matchOutcomes(alone, pairs)).toThrow(/got id 3 without one, which koala and vicuna have/);
  });

  test("turns of one conversation count as one prompt, and few equal labels give no certainty", () => {
    const person = (outcome: (i: number) => "win" | "lose" | "tie", count: number): LabelsByPair =>
      new Map(Array.from({ length: count }, (_, i) => [`s\0${i}`, outcome(i)]));
    const people = [person((i) => (i % 8 < 4 ? "win" : "lose"), 80)];
    const single = winRateByPeople(people, (pair) => pair);
    const turns = winRateByPeople(people, (pair) => String(Math.floor(Number(pair.slice(2)) / 4)));
    expect(turns.high - turns.low).toBeGreaterThan(1.5 * (single.high - single.low));
    const agreeing = [person((i) => (i === 0 ? "win" : "lose"), 4), person((i) => (i === 0 ? "win" : "lose"), 4)];
    expect(kappaOfTwo(agreeing[0]!, agreeing[1]!, (pair) => pair, 1)).toMatchObject({ value: 1, agreed: 4 });
    expect(kappaOfTwo(agreeing[0]!, agreeing[1]!, (pair) => pair, 1).low).toBeLessThan(0.6);
    expect(kappaOfAll(agreeing, (pair) => pair, 1).low).toBeLessThan(0.9);
  });

  test.runIf(isLong).each([
    [25, [0.8, 0.6, 0.5]],
    [10, [0.97, 0.97, 0.97]], // who nearly always agree: it held in 88 % with draws of disagreement alone
    [40, [0.9, 0.9, 0.9]],
  ])("the interval of Fleiss' kappa of %d pairs holds for raters of a world of its own: %j", (size, care) => {
    // each pair has a true outcome; three people see it with their own care, else they guess
    const random = createRandom(21);
    const outcomes = ["win", "tie", "lose"] as const;
    const draw = (count: number) => {
      const truth = Array.from({ length: count }, () => outcomes[Math.floor(random() * 3)]!);
      return care.map(
        (own): LabelsByPair =>
          new Map(truth.map((one, i) => [`s\0${i}`, random() < own ? one : outcomes[Math.floor(random() * 3)]!])),
      );
    };
    const countsOf = (people: readonly LabelsByPair[]) =>
      [...people[0]!.keys()].map((pair) =>
        outcomes.map((outcome) => people.filter((one) => one.get(pair) === outcome).length),
      );
    const true_ = fleissKappa(countsOf(draw(60_000)));
    let held = 0;
    const runs = 150;
    for (let run = 0; run < runs; run++) {
      const { low, high } = kappaOfAll(draw(size), (pair) => pair, run);
      if (low <= true_ && true_ <= high) held++;
    }
    console.log(
      `Fleiss' kappa of ${size} pairs: the interval held in ${held} of ${runs} runs (true ${true_.toFixed(3)})`,
    );
    expect(held / runs).toBeGreaterThanOrEqual(0.91);
  });
});

test("labels of answers that an arm no longer has are left out, and said to be", async () => {
  const answers = (word: string) =>
    Array.from({ length: 12 }, (_, i) => ({ id: i, set: "koala", instruction: `Q ${i}`, output: `${word} ${i}` }));
  folder.write("m.json", answers("lorem"));
  folder.write("t.json", answers("ipsum dolor"));
  await prepare(folder.path, ["compare", "m.json", "t.json", "--judge", "student"]);
  folder.write(
    "runs/default/labels/m-vs-t.by.people/ann.jsonl",
    Array.from({ length: 12 }, (_, i) => JSON.stringify(label(String(i), { answers: "older" }))).join("\n") + "\n",
  );
  const { code, stdout: said } = await alpagasus(["labels"], { cwd: folder.path });
  expect(code).toBe(0);
  expect(said).toContain("note: 12 labels are left out: the arms have other answers to those prompts now");
  expect(said).toContain("by 1 person on 0 pairs");
});

test.runIf(isLong)("status does not trust a judge that people contradict", async () => {
  const good = (i: number) =>
    `Wash ${i} apples in cold water, dry them, cut them into slices and serve them with honey.`;
  const answers = (isGood: (i: number) => boolean) =>
    Array.from({ length: 40 }, (_, i) => ({
      id: i,
      set: "koala",
      instruction: `How do I serve ${i} apples?`,
      output: isGood(i) ? good(i) : "no",
    }));
  const own = tempFolder();
  own.write(
    "m.json",
    answers((i) => i % 2 === 0),
  );
  own.write(
    "t.json",
    answers((i) => i % 2 === 1),
  );
  await prepare(own.path, ["compare", "m.json", "t.json", "--judge", "student"]);
  const trust = async () => {
    const { stdout } = await alpagasus(["status", "--json"], { cwd: own.path });
    return (JSON.parse(stdout) as { comparisons: { trust: string }[] }).comparisons[0]!.trust;
  };
  expect(await trust()).toBe("with care");
  const [name] = readdirSync(`${own.path}/runs/default/verdicts`);
  const verdicts = await readVerdicts(`${own.path}/runs/default/verdicts/${name}`);
  const opposite = verdicts.map((verdict) =>
    JSON.stringify(label(verdict.id, { label: verdict.outcome === "win" ? "B" : "A", answers: hashAnswers(verdict) })),
  );
  own.write("runs/default/labels/m-vs-t.by.people/ann.jsonl", `${opposite.join("\n")}\n`);
  expect(await trust()).toBe("no");
  const { stdout: again } = await alpagasus(["compare", "m.json", "t.json", "--judge", "student"], { cwd: own.path });
  expect(again).toMatch(/No: .*its verdicts agree with people by a kappa/);
  rmSync(`${own.path}/runs/default/verdicts/${name}`);
  expect((await alpagasus(["status"], { cwd: own.path })).code).toBe(0); // labels of verdicts that are gone say nothing
  own[Symbol.dispose]();
});

describe("what annotation tools export", () => {
  const read = async (name: string) =>
    Object.fromEntries(
      [...(await readPeople([`${folder.path}/${name}`], ["mine", "theirs"]))].map(([key, outcome]) => [
        key.replace("\0", " "),
        outcome,
      ]),
    );
  const annotation = (by: number, value: object, more: object = {}) => ({
    id: 7,
    completed_by: by,
    was_cancelled: false,
    lead_time: 4.2,
    result: [{ id: "x", from_name: "pw", to_name: "left,right", ...value }],
    ...more,
  });
  const pairwise = (selected: string) => ({ type: "pairwise", value: { selected } });
  const choice = (...choices: string[]) => ({ type: "choices", value: { choices } });
  const task = (id: string, left: string | undefined, ...annotations: object[]) => ({
    id: 1,
    project: 3,
    data: { set: "koala", id, ...(left !== undefined && { left }), question: "?" },
    predictions: [],
    annotations,
  });

  test("Label Studio: what most people say, by the side that was shown; cancelled ones do not count", async () => {
    folder.write("studio.json", [
      task(
        "1",
        undefined,
        annotation(1, pairwise("left")),
        annotation(2, pairwise("left")),
        annotation(3, choice("right")),
      ),
      task("2", "theirs", annotation(1, pairwise("left")), annotation(2, choice("tie")), annotation(3, choice("left"))),
      task("3", "B", annotation(1, pairwise("right"), { was_cancelled: true }), annotation(2, choice("mine"))),
      task("4", "A"),
    ]);
    expect(await read("studio.json")).toEqual({ "koala 1": "win", "koala 2": "lose", "koala 3": "win" });
  });

  test("Argilla: submitted responses, drafts and discarded ones left out", async () => {
    const record = (id: string, ...values: [value: string, user: string, status?: string][]) => ({
      id,
      fields: { question: "?", left_answer: "one", right_answer: "two" },
      metadata: { set: "koala", id, left: "mine" },
      suggestions: {},
      status: "completed",
      responses: {
        better: values.map(([value, user_id, status = "submitted"]) => ({ value, user_id, status })),
      },
    });
    folder.write("argilla.json", [
      record("1", ["left", "u1"], ["left", "u2"]),
      record("2", ["right", "u1"], ["tie", "u2", "draft"], ["left", "u3", "discarded"]),
    ]);
    expect(await read("argilla.json")).toEqual({ "koala 1": "win", "koala 2": "lose" });
  });

  test("what is no label, names no pair, or comes twice is one line with its place", async () => {
    const said = async (...tasks: object[]) => {
      folder.write("bad.json", tasks);
      return read("bad.json").then(String, (error: Error) => error.message.replace(folder.path, ""));
    };
    expect(await said(task("1", "C", annotation(1, pairwise("left"))))).toMatch(
      /^\/bad\.json:\d+ \(row 1\): left: expected A, B, mine or theirs, got "C"$/,
    );
    expect(await said(task("1", "A", annotation(1, choice("bad"))))).toContain(
      'expected one label of left, right, A, B, mine, theirs or tie, got "bad"',
    );
    expect(
      await said(task("1", "A", annotation(1, choice("left"))), task("1", "A", annotation(1, choice("left")))),
    ).toContain("expected one label per pair, got 1 again by 1");
    expect(await said({ ...task("1", "A", annotation(1, choice("left"))), data: { question: "?" } })).toContain(
      'expected the pair\'s "id"',
    );
  });
});
