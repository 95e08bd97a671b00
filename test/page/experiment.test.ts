import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { PairVerdict } from "../../src/comparison/verdict.ts";
import { listDraws, listModels } from "../../src/experiment/models.ts";
import { parseExperiment } from "../../src/experiment/recipe.ts";
import { concludeExperiment } from "../../src/experiment/result.ts";
import { meanTraining, poolMatches } from "../../src/experiment/pool-matches.ts";
import { tellExperiment, weighExperiment } from "../../src/health/trust.ts";
import type { RunReport } from "../../src/page/contract.ts";
import type { ExperimentResult } from "../../src/run/records/experiment.ts";
import { createRandom } from "../../src/stats/random.ts";
import { describeWithBrowser, findViolations, startBrowser, tableOf, type TestBrowser } from "../helpers/browser.ts";
import { prepare } from "../helpers/command-line.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";
import { someOf } from "../helpers/long.ts";

/** Verdicts of which so many are won, the others lost; another draw of prompts for each seed. */
function makeVerdicts(share: number, seed: number): PairVerdict[] {
  const random = createRandom(seed);
  return Array.from({ length: 60 }, (_, i) => ({
    id: String(i),
    set: i % 2 ? "koala" : "vicuna",
    outcome: random() < share ? "win" : "lose",
    orders: [],
  }));
}

function train(seed: number, minutes: number): ExperimentResult["arms"][number]["trainings"][number] {
  const lossCurve = Array.from({ length: 40 }, (_, i) => ({ step: i + 1, loss: 2 / (1 + i / 9) + seed / 100 }));
  return { seed, minutes, usd: minutes / 10, finalLoss: lossCurve.at(-1)!.loss, lossCurve };
}

/** An experiment with three arms and three seeds. */
function makeResult(): ExperimentResult {
  const seeds = [1, 2, 3];
  const arm = (name: string, rows: number, minutes: number) => {
    const trainings = seeds.map((seed) => train(seed, minutes + seed / 10));
    return { arm: name, rows, trainings, ...meanTraining(trainings) };
  };
  const match = (b: string, share: number) =>
    poolMatches(
      { a: "selected", b, judge: "student" },
      seeds.map((seed) => ({ a: `selected-s${seed}`, b: `${b}-s${seed}`, verdicts: makeVerdicts(share, seed) })),
    );
  return concludeExperiment({
    name: "made",
    caveat: "Made for a test.",
    arms: [arm("selected", 9_000, 14), arm("random", 9_000, 14), arm("full", 52_002, 80)],
    matches: [match("random", 0.85), match("full", 0.75)],
    losses: {
      data: "heldout.jsonl",
      models: [1, 2].map((i) => ({
        model: `selected-s${i}`,
        group: "selected",
        template: "alpaca" as const,
        loss: { value: 1.5, low: 1.4, high: 1.6 },
        items: 200,
        tokens: 9000,
        cut: 0,
        failed: 0,
        path: "losses/heldout.selected.jsonl",
      })),
      differences: [
        {
          a: "selected",
          b: "random",
          items: 200,
          trainings: 3,
          difference: { value: 0.031, low: 0.012, high: 0.05 },
          pValue: 0.002,
          adjustedPValue: 0.004,
          sentence: "selected finds these answers likelier than random does, over 3 trainings of each.",
        },
      ],
    },
    money: { rating: 20, training: 33, generating: 0, comparing: 4 },
    methods: { selected: "score", random: "random", full: "full" },
  });
}

test("several seeds are pooled by prompt: the interval is wider than if all pairs were independent", () => {
  const verdicts = makeVerdicts(0.6, 1);
  const same = [1, 2, 3].map((seed) => ({ a: `a-s${seed}`, b: `b-s${seed}`, verdicts }));
  const one = poolMatches({ a: "a", b: "b", judge: "j" }, same.slice(0, 1)).pooled.winningScore;
  const three = poolMatches({ a: "a", b: "b", judge: "j" }, same).pooled.winningScore;
  expect(three.value).toBeCloseTo(one.value!, 12);
  expect(three.high! - three.low!).toBeCloseTo(one.high! - one.low!, 1); // three times the same is worth one
});

test("what an experiment comes to follows from its controls", () => {
  const { sentence, verdict, savings } = makeResult();
  expect([verdict, sentence]).toEqual([
    "helped",
    expect.stringMatching(
      /^Selecting helped: selected against random .* over 3 trainings of each \(.* to .*\); selected against full/,
    ),
  ]);
  expect(savings).toMatchObject([
    { arm: "selected", full: "full", usd: expect.closeTo(6.6, 6) as number, paysBackAfter: 4 },
  ]);
});

test("judges that disagree, seeds that disagree, and matches that are told from the other side", () => {
  const base = { name: "x", money: { rating: 0, training: 0, generating: 0, comparing: 0 } };
  const arms = ["full", "selected", "random"].map((arm) => ({ arm, rows: 9, trainings: [], minutes: null, usd: null }));
  const methods = { full: "full", selected: "score", random: "random" };
  const match = (a: string, b: string, judge: string, ...shares: number[]) =>
    poolMatches(
      { a, b, judge },
      shares.map((share, i) => ({ a: `${a}-s${i}`, b: `${b}-s${i}`, verdicts: makeVerdicts(share, i + 1) })),
    );
  const conclude = (...matches: ExperimentResult["matches"]) => concludeExperiment({ ...base, arms, methods, matches });
  expect(
    conclude(match("selected", "random", "one", 0.9, 0.88, 0.91), match("selected", "random", "two", 0.1, 0.12, 0.09)),
  ).toMatchObject({
    verdict: "no benefit shown",
    sentence: expect.stringMatching(
      /^The judges disagree: by one, selecting helped .*; by two, selecting did not help/,
    ) as string,
  });
  expect(conclude(match("selected", "random", "one", 1, 0.1, 1)).verdict).toBe("no benefit shown");
  expect(conclude(match("random", "selected", "one", 0.1, 0.12, 0.09))).toMatchObject({
    verdict: "helped",
    sentence: expect.stringContaining("selected against random") as string,
  });
  expect(conclude(match("full", "random", "one", 0.9)).verdict).toBe("not compared");
  const first = match("selected", "random", "one", 0.9, 0.88, 0.91);
  const always = { ...first.pooled.orders, pairs: 0, firstShare: { value: 1, low: 0.98, high: 1 } };
  const oneSided = conclude({ ...first, pooled: { ...first.pooled, identical: 0, orders: always } });
  expect(tellExperiment(oneSided)).toMatch(/^Selecting helped.*\. This is not to be trusted\.$/);
  const fine = conclude(first);
  expect(tellExperiment(fine)).toBe(fine.sentence);
  expect(tellExperiment({ ...fine, matches: [{ ...first, failedChecks: ["separates"] }] })).toMatch(
    /This is not to be trusted\.$/,
  );
  const kappa = { value: -0.05, low: -0.1, high: 0.1 };
  const disagrees = { with: "people (maria)", pairs: 60, share: kappa, kappa, correlation: kappa };
  expect(tellExperiment(fine, undefined, [disagrees])).toMatch(/This is not to be trusted\.$/);
});

test("leaving a comparison out of a recipe makes no other sure, and sets are corrected like comparisons", () => {
  const base = { name: "x", money: { rating: 0, training: 0, generating: 0, comparing: 0 } };
  const arms = ["a", "b", "c"].map((arm) => ({ arm, rows: 9, trainings: [], minutes: null, usd: null }));
  const match = (b: string, share: number) =>
    poolMatches({ a: "a", b, judge: "one" }, [{ a: "a", b, verdicts: makeVerdicts(share, 3) }]);
  const [first, second] = [match("b", 0.66), match("c", 0.55)];
  const conclude = (matches: ExperimentResult["matches"], dropped: ExperimentResult["matches"] = []) =>
    concludeExperiment({ ...base, arms, methods: {}, matches, dropped }).matches[0]!;
  const both = conclude([first, second]);
  const left = conclude([first], [second]);
  expect(left.pooled).toEqual(both.pooled);
  expect(left.pooled.adjusted).toMatchObject({ comparisons: 2, method: "Holm" });
  expect(both.sets.map(({ adjusted }) => adjusted?.comparisons)).toEqual([4, 4]);
  expect(conclude([first]).pooled.adjusted).toBeUndefined();
});

test("every random arm of the same size is heard, whatever their order, and others are no controls", () => {
  const base = { name: "x", money: { rating: 0, training: 0, generating: 0, comparing: 0 } };
  const rows: Record<string, number> = { selected: 9000, random: 9000, again: 8950, small: 500, longest: 9000 };
  const arms = Object.entries(rows).map(([arm, own]) => ({
    arm,
    rows: own,
    trainings: [],
    minutes: null,
    usd: null,
  }));
  const methods = { selected: "score", random: "random", again: "random", small: "random", longest: "longest" };
  const pooled = new Map<string, ReturnType<typeof poolMatches>>();
  const against = (b: string, share: number) => {
    const names = { a: "selected", b, judge: "one" };
    const seeds = [1, 2, 3].map((seed) => ({ a: `s${seed}`, b: `${b}-s${seed}`, verdicts: makeVerdicts(share, seed) }));
    const found = pooled.get(`${share}`) ?? poolMatches(names, seeds); // which takes its time
    pooled.set(`${share}`, found);
    return { ...found, ...names };
  };
  const conclude = (...matches: ExperimentResult["matches"]) => concludeExperiment({ ...base, arms, methods, matches });
  const mixed = [against("random", 0.9), against("again", 0.1)];
  for (const matches of [mixed, mixed.toReversed()]) {
    const { verdict, sentence } = conclude(...matches);
    expect(verdict).toBe("did not help");
    expect(sentence).toMatch(/^Selecting did not help: .*selected against (random|again).*selected against/);
  }
  expect(conclude(against("random", 0.9), against("again", 0.5)).verdict).toBe("no benefit shown");
  expect(conclude(against("random", 0.9), against("small", 0.1)).verdict).toBe("helped");
  expect(conclude(against("small", 0.9))).toMatchObject({
    verdict: "not compared",
    sentence: expect.stringContaining("(small: not as many rows, and so no control)") as string,
  });
  const { sentence } = conclude(against("random", 0.9), against("longest", 0.1));
  expect(sentence).toMatch(/^Selecting helped, but the longest rows do better: .*selected against longest/);
  const by = (judge: string, share: number) => [
    { ...against("random", 0.9), judge },
    { ...against("longest", share), judge },
  ];
  expect(conclude(...by("one", 0.9), ...by("two", 0.1)).sentence).toMatch(
    /by all of one, two, but the longest rows do better by two: .*selected against longest \d\d? wins/,
  );
});

test("losses alone are told as such, and only published figures are taken as they are", () => {
  const arms = ["random", "selected"].map((arm) => ({ arm, rows: 9, trainings: [train(1, 9)], minutes: 9, usd: null }));
  const difference = (b: string, value: number, adjustedPValue: number) => ({
    a: "random",
    b,
    items: 9,
    trainings: 3,
    difference: { value, low: null, high: null },
    pValue: 0.01,
    adjustedPValue,
    sentence: "",
  });
  const facts = {
    name: "x",
    source: "chosen for this test",
    money: { rating: 0, training: 0, generating: 0, comparing: 0 },
    methods: { random: "random", selected: "score" },
    matches: [],
    arms,
  };
  const of = (...differences: ReturnType<typeof difference>[]) =>
    concludeExperiment({ ...facts, losses: { data: "h.json", models: [], differences } });
  expect(of(difference("selected", -0.1, 0.2)).sentence).toBe(
    "No answers were compared. Of 1 difference in losses on held-out answers (they favour the style of these answers) none holds after correction.",
  );
  const found = of(difference("selected", -0.1, 0.01), difference("other", 0.1, 0.2));
  expect(found.sentence).toMatch(/one holds after correction: selected below random\.$/);
  expect(weighExperiment(found).against).toEqual([
    "no answers were compared, losses on held-out answers alone, which favour the style of these answers",
  ]);
  const match = poolMatches({ a: "selected", b: "random", judge: "one" }, [
    { a: "s", b: "r", verdicts: makeVerdicts(0.9, 1) },
  ]);
  const failed = { ...match, failedChecks: ["separates"] };
  const told = (isPublished?: true) =>
    weighExperiment(concludeExperiment({ ...facts, isPublished, matches: [failed] }));
  expect(told().answer).toBe("no"); // although its recipe has a source
  expect(told(true).against.join()).toContain("published figures were taken as they are");
});

test("a verdict rests on no match of one training, and asks for no fewer prompts than there were", () => {
  const base = { name: "x", money: { rating: 0, training: 0, generating: 0, comparing: 0 }, trainings: 3 };
  const arms = ["selected", "random", "full"].map((arm) => ({ arm, rows: 9, trainings: [], minutes: null, usd: null }));
  const methods = { selected: "score", random: "random", full: "full" };
  const undecided = (verdicts: PairVerdict[]) => verdicts.map((one) => ({ ...one, outcome: "undecided" as const }));
  const against = (b: string, shares: readonly number[], decided = shares.length) =>
    poolMatches(
      { a: "selected", b, judge: "one" },
      shares.map((share, i) => ({
        a: `selected-s${i}`,
        b: `${b}-s${i}`,
        verdicts: i < decided ? makeVerdicts(share, i + 1) : undecided(makeVerdicts(share, i + 1)),
      })),
    );
  const conclude = (...matches: ExperimentResult["matches"]) => concludeExperiment({ ...base, arms, methods, matches });
  const full = against("full", [0.5, 0.5, 0.5]);
  expect(conclude(against("random", [0.9, 0.9], 1), full)).toMatchObject({
    verdict: "one training",
    sentence: expect.stringContaining("only one training of each has decided pairs") as string,
  });
  expect(conclude(against("random", [0.9, 0.9, 0.9]), against("full", [0.5])).verdict).toBe("helped");
  const match = against("random", [0.9, 0.9, 0.9]);
  const corrected = { pValue: 0.055, comparisons: 21, method: "Holm" as const };
  const pooled = { ...match.pooled, pValue: 0.003, adjusted: corrected, promptsNeeded: 160 };
  const { sentence } = conclude({ ...match, pooled: { ...pooled, conclusion: "no difference shown" } });
  expect(sentence).toContain("corrected for 21 comparisons: 0.055");
  expect(sentence).not.toContain("would be needed");
});

test("one training of each arm is about two models, never about selecting, and says what more would cost", () => {
  const arms = ["selected", "random"].map((arm) => ({
    arm,
    rows: 9,
    trainings: [{ minutes: 10, usd: 2, finalLoss: null, lossCurve: [] }],
    minutes: 10,
    usd: 2,
  }));
  const { verdict, sentence, moreTrainings } = concludeExperiment({
    name: "x",
    money: { rating: 0, training: 4, generating: 1, comparing: 3 },
    arms,
    trainings: 1,
    methods: { selected: "score", random: "random" },
    matches: [
      poolMatches({ a: "selected", b: "random", judge: "one" }, [
        { a: "selected", b: "random", verdicts: makeVerdicts(0.9, 1) },
      ]),
    ],
  });
  expect(verdict).toBe("one training");
  expect(sentence).toMatch(/^These trained models differ: selected against random /);
  expect(sentence).toContain("each was trained once, so this is about these models and not about selecting");
  expect(sentence).toContain("2 more trainings of each arm would tell more, at about 40 min 0 s and $16.00");
  expect(sentence).not.toMatch(/helped/i);
  expect(moreTrainings).toEqual({ trainings: 2, minutes: 40, trainingUsd: 8, callsUsd: 8 });
});

test("each training counts alike, and the sentence says so where its counts say something else", () => {
  const cut = (seed: number, decided: number) =>
    makeVerdicts(seed === 3 ? 0 : 0.9, seed).map((one, i) =>
      i < decided ? one : { ...one, outcome: "undecided" as const },
    );
  const match = poolMatches(
    { a: "a", b: "b", judge: "one" },
    [60, 60, 5].map((decided, i) => ({ a: `a-s${i}`, b: `b-s${i}`, verdicts: cut(i + 1, decided) })),
  );
  const { pooled } = match;
  const { win, lose } = pooled.counts;
  expect(1 + (win - lose) / (win + lose)).toBeGreaterThan(1.6); // of all pairs
  expect(pooled.winningScore.value).toBeLessThan(1.3); // the mean of 1.8, 1.8 and 0
  const without = pooled.withoutOneSet!;
  for (const { winningScore } of [without.low, without.high]) expect(winningScore).toBeLessThan(1.4);
  expect([pooled.pairs, pooled.prompts]).toEqual([180, 60]);
  expect(pooled.promptsNeededRange).toEqual([null, null]); // 5 prompts are decided in all trainings: too few to tell
  expect(pooled.trainingsNeeded).toBeUndefined();
  const { sentence } = concludeExperiment({
    name: "x",
    arms: ["a", "b"].map((arm) => ({ arm, rows: 9, trainings: [], minutes: null, usd: null })),
    matches: [match],
    methods: { a: "score", b: "random" },
    money: { rating: 0, training: 0, generating: 0, comparing: 0 },
  });
  expect(sentence).toContain("of which each training counts alike");
});

test("a published experiment is not asked for trainings that it says were made", () => {
  const trained = { trainings: [{ minutes: 10, usd: 2, finalLoss: null, lossCurve: [] }], minutes: 10, usd: 2 };
  const facts = (trainings: number) => ({
    name: "x",
    isPublished: true as const,
    money: { rating: 0, training: 4, generating: null, comparing: null },
    arms: ["selected", "random"].map((arm) => ({ arm, rows: 9, ...trained })),
    trainings,
    methods: { selected: "score", random: "random" },
    matches: [],
  });
  expect(concludeExperiment(facts(3)).moreTrainings).toBeUndefined();
  expect(concludeExperiment(facts(1)).moreTrainings).toMatchObject({ trainings: 2 });
});

test.each([
  [
    "a test set twice",
    "[{ a: s, b: r, sets: [*v, *v] }]",
    /sets\.1\.set: expected each test set once, got vicuna again/,
  ],
  [
    "two arms twice",
    "[{ a: s, b: r, sets: [*v] }, { a: r, b: s, sets: [*v] }]",
    /expected each two arms once, got r and s again/,
  ],
  ["an arm against itself", "[{ a: s, b: s, sets: [*v] }]", /expected another arm than s/],
])("recorded counts of %s are refused: their pairs would be taken for the same prompts", (_, comparisons, message) => {
  const recipe = `name: x
recorded:
  judge: j
  arms: { s: { rows: 2 }, r: { rows: &n 2 } }
  benchmarks: []
  comparisons: ${comparisons.replace("*v", "&v { set: vicuna, win: 30, tie: 10, lose: 10 }")}
`;
  expect(() => parseExperiment(recipe, "x.yaml")).toThrow(message);
});

test("a random control draws its own rows for every training, and the others keep theirs", () => {
  const recipe = parseExperiment(
    "name: x\ndata: x.json\nrate: { judge: student }\narms: { selected: { top: 2 }, random: { method: random } }\ntrain: { recipe: laptop, seeds: [7, 8] }\n",
    "x.yaml",
  );
  expect(listModels(recipe).map(({ name, rows }) => [name, rows])).toEqual([
    ["selected", "selected"],
    ["selected-s8", "selected"],
    ["random", "random"],
    ["random-s8", "random-s8"],
  ]);
  const seeds = listDraws(recipe, "random").map(({ seed }) => seed);
  expect(new Set(seeds).size).toBe(2);
  expect(listDraws({ ...recipe, train: { ...recipe.train!, seeds: [7] } }, "random")).toEqual([
    { name: "random", arm: "random", seed: 42 },
  ]);
});

describeWithBrowser("the page of an experiment", () => {
  let folder: TempFolder;
  let browser: TestBrowser;
  beforeAll(async () => {
    folder = tempFolder();
    browser = await startBrowser();
    folder.write("runs/made/run.json", { version: 2, alpagasus: "0", arms: {}, experiment: makeResult() });
    await prepare(folder.path, ["report", "--run", "runs/made"], ["run", "paper-7b-published"]);
  });
  afterAll(async () => {
    await browser[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });
  const urlOf = (run: string) => pathToFileURL(`${folder.path}/runs/${run}/report.html`).href;

  test("shows the figures of report.json: arms, matches, seeds, losses, what was saved", async () => {
    const { experiment } = JSON.parse(readFileSync(`${folder.path}/runs/made/report.json`, "utf8")) as RunReport;
    const { page, complaints, requests } = await browser.open(urlOf("made"));
    expect(await page.textContent("h2.sentence")).toBe(experiment!.sentence);
    expect(await page.textContent("main")).toContain("Made for a test.");
    const results = await tableOf(page, "Results");
    expect(results).toHaveLength(6); // two matches, two sets and all prompts each
    const arms = await tableOf(page, "Arms");
    expect(arms.map((row) => Object.values(row).slice(0, 3))).toEqual([
      ["selected", "9,000", "3"],
      ["random", "9,000", "3"],
      ["full", "52,002", "3"],
    ]);
    expect((await tableOf(page, "Differences of losses"))[0]).toEqual([
      "random minus selected",
      "0.031 [0.012, 0.050]",
      "p = 0.004",
      "3",
    ]);
    for (const title of [
      "Wins, ties and losses",
      "Winning score by seed",
      "Winning score against full, by training-set size",
      "Loss while training",
    ])
      expect(await page.locator("figure, section", { hasText: title }).count()).toBeGreaterThan(0);
    expect(await page.textContent("main")).toContain("pays for the rating after 4 trainings");
    expect([complaints, requests]).toEqual([[], [urlOf("made")]]);
  });

  test.each(
    someOf(
      [
        ["made", "light", 1280],
        ["made", "dark", 400],
        ["paper-7b-published", "dark", 1280],
        ["paper-7b-published", "light", 400],
      ] as const,
      2,
    ),
  )("an accessibility checker finds nothing on %s in %s at %i pixels", async (run, colorScheme, width) => {
    const { page } = await browser.open(urlOf(run), { colorScheme, viewport: { width, height: 900 } });
    expect(await findViolations(page)).toEqual([]);
    expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBeLessThanOrEqual(width);
  });
});
