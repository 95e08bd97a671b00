import { readTasks } from "../benchmark/tasks.ts";
import { DataError, messageOf } from "../errors.ts";
import { callsModel, readMeasureName } from "../likelihood/measure-name.ts";
import { isModelName } from "../llm/model-name.ts";
import { type ExperimentFile } from "./recipe-schema.ts";

/** @throws DataError where the file names an arm, a model or a stage that it does not have */
export function checkNames(file: ExperimentFile, at: (field: readonly PropertyKey[]) => string): void {
  const { arms = {}, models, train, generate, compare, rate, scores = {}, recorded } = file;
  const fail = (field: readonly PropertyKey[], message: string): never => {
    throw new DataError(`${at(field)}: ${field.map(String).join(".")}: ${message}`);
  };
  if (recorded) return checkRecorded(recorded, fail);
  const armNames = Object.keys(arms);
  const sameFile = armNames.find((name, i) => armNames.findIndex((other) => isSameFile(name, other)) < i);
  if (sameFile !== undefined)
    fail(["arms", sameFile], "expected names that differ by more than capitals: some disks keep one file for both");
  const numeric = [...armNames, ...Object.keys(models)].find((other) => /^\d+$/.test(other));
  if (numeric !== undefined)
    fail(
      [arms[numeric] ? "arms" : "models", numeric],
      "expected a name with a letter in it, since names of digits lose their order: 3k",
    );
  const twice = (list: readonly unknown[]) => list.findIndex((item, i) => list.indexOf(item) < i);
  if (rate?.escalate && (typeof rate.judge !== "string" || !/^student(:|$)/.test(rate.judge)))
    fail(["rate", "escalate"], "expected a student as the judge: judge: student");
  if (rate?.escalate && file.unreadable === "skip")
    fail(
      ["unreadable"],
      "expected stop, since the estimates of rate.escalate are about all rows; correct the data first",
    );
  if (rate?.max_unreadable !== undefined && file.unreadable !== "skip")
    fail(["rate", "max_unreadable"], "expected unreadable: skip with it");
  if (rate?.combine && typeof rate.judge === "string")
    fail(["rate", "combine"], "expected several judges: judge: [a, b]");
  for (const [field, list] of [
    [["rate", "judge"], typeof rate?.judge === "object" ? rate.judge : []],
    [["train", "seeds"], train?.seeds ?? []],
    [["compare", "judges"], compare?.judges ?? []],
    [["compare", "matches"], (compare?.matches ?? []).map((match) => match.join(" "))],
  ] as const)
    if (twice(list) >= 0) fail([...field, twice(list)], `expected each once, got ${list[twice(list)]} twice`);
  for (const [arm, { method }] of Object.entries(arms))
    if (method === "random" && (train?.seeds.length ?? 0) > 1)
      for (const seed of train!.seeds.slice(1))
        if (arms[`${arm}-s${seed}`]) fail(["arms", `${arm}-s${seed}`], `expected a name that no draw of ${arm} has`);
  for (const model of Object.keys(models))
    if (armNames.some((arm) => train?.seeds.slice(1).some((seed) => model === `${arm}-s${seed}`)))
      fail(["models", model], "expected a name that no trained model has");
  for (const [field, one] of [
    [["rate"], rate],
    ...Object.entries(scores).map(([name, score]) => [["scores", name], score] as const),
  ] as const) {
    if (!one) continue;
    const first = [one.judge].flat();
    const judges = [...first, ...("escalate" in one && one.escalate ? [one.escalate.to] : [])];
    const needs = (keys: readonly (keyof typeof one)[], isMet: boolean, judge: string) => {
      const key = isMet ? undefined : keys.find((other) => one[other]);
      if (key !== undefined) fail([...field, key], `expected ${judge} with it, got ${judges.join(", ")}; leave it out`);
    };
    needs(
      ["rubric", "samples", "logprobs", "reasoning", "max_prompt_tokens"],
      judges.some(isModelName),
      "a judge that replies",
    );
    needs(["batch"], judges.some(callsModel), "a judge that calls a model");
    needs(
      ["scale"],
      judges.some((judge) => /^(recorded|column):/.test(judge)),
      "recorded: or column: as the judge",
    );
    if (one.logprobs && one.samples !== undefined)
      fail([...field, "samples"], "expected either logprobs or samples, got both; leave one out");
    if ("rescale" in one && one.rescale && first.length === 1)
      fail([...field, "rescale"], "expected several judges: judge: [a, b]");
    for (const key of ["template", "max_length"] as const)
      if (one?.[key] !== undefined) {
        const kind = typeof one.judge === "string" ? readMeasureName(one.judge)?.kind : undefined;
        const takes = key === "template" ? kind !== "reward" : true; // a reward model has a chat template of its own
        if (kind === undefined || !takes)
          fail(
            [...field, key],
            `expected ${key === "template" ? "perplexity:MODEL, ifd:MODEL or fit:MODEL" : "perplexity:MODEL, ifd:MODEL, fit:MODEL or reward:MODEL"} as the judge with it`,
          );
      }
  }
  if (compare && !compare.judges.some(isModelName)) {
    const key = (["rubric", "reasoning", "batch"] as const).find((other) => compare[other]);
    if (key !== undefined)
      fail(["compare", key], `expected a judge that replies with it, got ${compare.judges.join(", ")}; leave it out`);
  }
  for (const [i, name] of Object.keys(scores).entries()) {
    if (!rate) fail(["scores"], "expected a rating of the rows beside it, which SQL calls score; add rate");
    if (Object.keys(scores).findIndex((other) => other.toLowerCase() === name.toLowerCase()) < i)
      fail(["scores", name], "expected names that differ by more than capital letters");
  }
  if (file.embeddings && !rate) fail(["embeddings"], "expected a rating of the rows beside them; add rate");
  for (const arm of armNames) checkVectors(file, arm, fail);
  if (armNames.length > 0 && !rate) fail(["arms"], "expected ratings to choose by; add rate");
  if (train && armNames.length === 0) fail(["train"], "expected arms to train on; add arms");
  if (file.evaluate && !train) fail(["evaluate"], "expected trained models to measure; add train");
  if (file.benchmark) {
    if (!train) fail(["benchmark"], "expected trained models to run benchmarks on; add train");
    try {
      readTasks(file.benchmark.tasks, "tasks");
    } catch (cause) {
      fail(["benchmark"], messageOf(cause));
    }
  }
  if (compare && !generate) fail(["compare"], "expected answers to compare; add generate");
  if (generate && !train && Object.keys(models).length === 0)
    fail(["generate"], "expected models to answer; add train, or models");
  for (const [arm, { by, like, method, top, min_score: least, rows, quota }] of Object.entries(arms)) {
    if (like !== undefined && !arms[like])
      fail(["arms", arm, "like"], `expected ${armNames.filter((other) => other !== arm).join(", ")}, got ${like}`);
    if (
      sizeSource(file, arm) === undefined &&
      (method === "random" || method === "longest") &&
      top === undefined &&
      !quota
    )
      fail(["arms", arm], "expected an arm whose size it takes, top or quota");
    if (like === arm) fail(["arms", arm, "like"], "expected another arm, got itself");
    if (by !== undefined && method !== "score") fail(["arms", arm, "by"], `goes with the method score, not ${method}`);
    if (method === "representative" && top === undefined)
      fail(["arms", arm, "method"], "expected top with it, how many rows to keep");
    if (arms[arm]!.toward !== undefined && top === undefined)
      fail(["arms", arm, "toward"], "expected top with it, how many rows to keep");
    if (method === "score" && top === undefined && least === undefined && rows === undefined && !quota)
      fail(["arms", arm], "expected min_score, top, quota or rows");
    if (models[arm] !== undefined) fail(["models", arm], "expected a name that no arm has");
  }
  const known = [...(train ? armNames : []), ...Object.keys(models)]; // all that have answers
  for (const [i, match] of (compare?.matches ?? []).entries()) {
    for (const [side, answered] of match.entries())
      if (!known.includes(answered))
        fail(["compare", "matches", i, side], `expected ${known.join(", ")}, got ${answered}`);
    if (match[0] === match[1]) fail(["compare", "matches", i], "expected two different ones");
  }
  if (compare && !compare.matches && known.length < 2)
    fail(["compare"], "expected two arms or models to compare; add a control: random: { method: random }");
}

/** Which arm this arm copies its size from, or with a quota, what it may be drawn from. Controls default to the first score arm, or else the first full arm. */
export function sizeSource({ arms = {} }: Pick<ExperimentFile, "arms">, arm: string): string | undefined {
  const { like, method, top } = arms[arm]!;
  if (like !== undefined) return like;
  if ((method !== "random" && method !== "longest") || top !== undefined) return undefined;
  return (
    Object.keys(arms).find((other) => arms[other]!.method === "score") ??
    Object.keys(arms).find((other) => arms[other]!.method === "full")
  );
}

/** The embedding that an arm goes by; undefined where it needs none. */
export function vectorsOf(
  { arms = {}, embeddings = {} }: Pick<ExperimentFile, "arms" | "embeddings">,
  arm: string,
): string | undefined {
  const { toward, dedup, diverse, vectors, method } = arms[arm]!;
  if (
    toward === undefined &&
    method !== "representative" &&
    dedup !== "semantic" &&
    (diverse === undefined || vectors === undefined)
  )
    return undefined;
  const names = Object.keys(embeddings);
  return vectors ?? (names.length === 1 ? names[0] : undefined);
}

function checkVectors(
  file: ExperimentFile,
  arm: string,
  fail: (field: readonly PropertyKey[], message: string) => never,
): void {
  const { toward, dedup, vectors, method } = file.arms![arm]!;
  const names = Object.keys(file.embeddings ?? {});
  if (vectors !== undefined && !names.includes(vectors))
    fail(
      ["arms", arm, "vectors"],
      `expected one of embeddings (${names.join(", ") || "there is none"}), got ${vectors}`,
    );
  const isByVectors = toward !== undefined || dedup === "semantic" || method === "representative";
  if (vectorsOf(file, arm) !== undefined || !isByVectors) return;
  const field = toward !== undefined ? "toward" : method === "representative" ? "method" : "dedup";
  fail(
    ["arms", arm, field],
    names.length === 0
      ? "expected vectors of the rows; add embeddings: { minilm: {} }"
      : `expected vectors: with one of embeddings (${names.join(", ")})`,
  );
}

function checkRecorded(
  { arms, judge, comparisons, benchmarks }: NonNullable<ExperimentFile["recorded"]>,
  fail: (field: readonly PropertyKey[], message: string) => never,
): void {
  for (const [i, { a, b, sets }] of comparisons.entries()) {
    for (const [side, arm] of Object.entries({ a, b }))
      if (!arms[arm])
        fail(["recorded", "comparisons", i, side], `expected ${Object.keys(arms).join(", ")}, got ${arm}`);
    if (a === b) fail(["recorded", "comparisons", i, "b"], `expected another arm than ${a}, got it again`);
    const isSamePair = (other: { readonly a: string; readonly b: string }) =>
      (other.a === a && other.b === b) || (other.a === b && other.b === a);
    if (comparisons.findIndex(isSamePair) < i)
      fail(
        ["recorded", "comparisons", i],
        `expected each two arms once, got ${a} and ${b} again; put all sets into one`,
      );
    for (const [j, { set }] of sets.entries())
      if (sets.findIndex((other) => other.set === set) < j)
        fail(
          ["recorded", "comparisons", i, "sets", j, "set"],
          `expected each test set once, got ${set} again; add up its counts, or give it another name`,
        );
  }
  if (comparisons.length === 0 && benchmarks.length === 0)
    fail(["recorded"], "expected comparisons or benchmarks, got neither");
  if (comparisons.length > 0 && judge === undefined)
    fail(["recorded"], "expected the judge of these comparisons, got none; add judge: NAME");
  for (const [i, { task, percent }] of benchmarks.entries()) {
    const unknown = Object.keys(percent).find((arm) => !arms[arm]);
    if (unknown !== undefined)
      fail(
        ["recorded", "benchmarks", i, "percent", unknown],
        `expected ${Object.keys(arms).join(", ")}, got ${unknown}`,
      );
    if (benchmarks.findIndex((other) => other.task === task) < i)
      fail(["recorded", "benchmarks", i, "task"], `expected each benchmark once, got ${task} again`);
  }
}

/** Whether a disk that does not tell capitals keeps one file for two names. */
function isSameFile(a: string, b: string): boolean {
  return a.normalize().toLowerCase() === b.normalize().toLowerCase();
}
