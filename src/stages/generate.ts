import { expectName } from "../run/name.ts";
import { answerStates, type AnsweredPrompt, type AnswerState } from "../generation/answerer.ts";
import { readOwnAnswers } from "../generation/answers-file.ts";
import { hashJsonLines, writeJsonLines } from "../files/json-lines.ts";
import type { OpenAnswerer } from "../generation/open-answerer.ts";
import type { TestPrompt } from "../dataset/prompts.ts";
import { RunError, UsageError } from "../errors.ts";
import { own, ownerOf } from "../files/owner-file.ts";
import { formatCount, formatNumbered } from "../format.ts";
import { requestKey } from "../llm/request.ts";
import { describeQuestion } from "../run/describe-question.ts";
import type { AnsweredSet, AnswersSummary } from "../run/records/answers.ts";
import { readManifest, runFolder, extendManifest } from "../run/run-folder.ts";
import { describeCalls } from "./describe-calls.ts";
import type { StageOptions } from "./progress.ts";
import { promptCoverageGate } from "./coverage.ts";
import { StageProgress } from "./stage-progress.ts";
import { makeFolder } from "../files/make-folder.ts";

export interface GenerateOptions extends Omit<StageOptions, "signal"> {
  /** The run's folder. */
  readonly run: string;
  /** If it was opened with a signal, an abort writes the answers so far; the rest is `pending`. */
  readonly answerer: OpenAnswerer;
  /** Name of the answers; the model's name when left out. */
  readonly name?: string | undefined;
  /** The least share of the prompts that must be answered for the gate to hold, 0 to 1. */
  readonly minCoverage?: number | undefined;
  /** Replace answers of that name that are by another model or to another question. */
  readonly overwrite?: boolean | undefined;
}

const batchSize = 100;
const phaseMs = 1_000; // between two lines about the server
const slowMs = 15_000; // after this time, the progress line names the server's log

/**
 * Has a model answer test prompts, and writes `answers/NAME.jsonl`, which keeps its earlier answers to other test sets. A
 * local model's server is started only if a call has to be made.
 *
 * @throws RunError when the run has answers of that name by another model or to another question, without `overwrite`
 * @throws PythonError when the model's server cannot be started, or formats prompts differently from the training
 */
export async function generate(prompts: readonly TestPrompt[], options: GenerateOptions): Promise<AnswersSummary> {
  const startedAt = new Date();
  const { answerer, name = answerer.armName } = options;
  expectName("--name", name);
  expectTurns(prompts, answerer);
  const run = runFolder(options.run);
  const previous = (await readManifest(run))?.answers?.[name];
  const isOther = previous !== undefined && previous.question.hash !== answerer.question.hash;
  if (isOther && !options.overwrite)
    throw new RunError(
      `${options.run}: holds answers called ${name} by another model or to another question (${describeAnswers(previous)}, not ${describeAnswers({ ...answerer, model: answerer.name })}); give these another name with --name, or replace them with --overwrite`,
    );
  const path = run.answersPath(name);
  makeFolder(run.answersFolder);
  using owned = await own(`${path}.pid`, {
    onWait: (owner) =>
      options.onProgress?.({ stage: "generate", doing: `waiting for a sign of ${owner}`, done: 0, unit: "seconds" }),
  });
  if (!owned)
    throw new RunError(
      `${path}: expected answers that no other process is writing, ${ownerOf(`${path}.pid`) ?? "another one"} does; wait for it, or call these otherwise with --name`,
    );
  const { answers: before, sha256: found } = options.overwrite ? { answers: [] } : await readBefore(path, previous);
  expectSamePrompts(before, prompts, path);
  const answered: AnsweredPrompt[] = [];
  using progress = new StageProgress({
    run,
    stage: "generate",
    doing: "answering",
    unit: "prompts",
    total: prompts.length,
    onProgress: options.onProgress,
    calls: () => answerer.calls(),
    done: () => answered.length,
  });
  const server = await startServer(prompts, options, progress);
  await answerer.prepare(() => inBatches(prompts), progress.showBatches);
  progress.begin();
  for await (const some of answerer.answer(inBatches(prompts))) {
    answered.push(...some);
    progress.update();
  }
  const all = addAnswers(before, answered);
  if (previous && !isOther) {
    // told before it is written: a kill between the two leaves answers that are known
    const told = { ...previous, answersHash: found ?? previous.answersHash, answersNext: hashJsonLines(all) };
    await extendManifest(run, (latest) => ({ answers: { ...latest?.answers, [name]: told } }));
  }
  const answersHash = await writeJsonLines(path, all);
  const sets = countSets(all);
  const pending = answered.filter(({ state }) => state === "pending").length;
  const { calls } = describeCalls(answerer, pending);
  const failure = answerer.server?.failure;
  const summary: AnswersSummary = {
    arm: name,
    model: answerer.name,
    template: answerer.template,
    question: answerer.question,
    ...(server ? { server } : !isOther && previous?.server && { server: previous.server }),
    sets,
    notes: [...answerer.notes(), ...describeLosses(all), ...describeCuts(all, sets, answerer.question.maxOutputTokens)],
    ...(calls && { calls: failure === undefined ? calls : { ...calls, stopped: "failure", failure } }),
    gates: [
      promptCoverageGate(
        "answered",
        all.filter(({ output }) => output !== null).length,
        all.length,
        options.minCoverage,
      ),
    ],
    answersPath: path,
    answersHash,
    command: options.command,
    startedAt: startedAt.toISOString(),
    wallMs: Date.now() - startedAt.getTime(),
  };
  await extendManifest(run, (manifest) => ({ answers: { ...manifest?.answers, [name]: summary } }));
  return summary;
}

/** @throws UsageError when prompts have several turns, and the model's prompt has room for one */
export function expectTurns(prompts: readonly TestPrompt[], { template }: Pick<AnswersSummary, "template">): void {
  const several = prompts.filter(({ turns }) => turns);
  if (several.length > 0 && template === "alpaca")
    throw new UsageError(
      `--tests: expected prompts of one turn for a model that was trained with the template alpaca, got ${formatCount(several.length)} of several (${several[0]!.set}); leave that set out, or train with --template chat`,
    );
}

/** Which model answered, and how it was prompted. */
function describeAnswers({
  model,
  template,
  question,
}: Pick<AnswersSummary, "model" | "template" | "question">): string {
  return `${model}, template ${template}, ${describeQuestion(question)}`;
}

/** The answers that the run has under this name, and the hash of their file. @throws RunError when their file was changed */
async function readBefore(
  path: string,
  previous: AnswersSummary | undefined,
): Promise<{ readonly answers: AnsweredPrompt[]; readonly sha256?: string }> {
  if (!previous) return { answers: [] }; // a file without a manifest entry was interrupted; its replies are in the store
  const { answers, sha256 } = await readOwnAnswers(path);
  if (answers.length > 0 && sha256 !== previous.answersHash && sha256 !== previous.answersNext)
    throw new RunError(
      `${path}: expected the answers as they were written, found them changed; call these otherwise with --name, or replace them with --overwrite`,
    );
  return { answers, ...(answers.length > 0 && { sha256 }) };
}

/** @throws RunError when an id now has another prompt */
function expectSamePrompts(before: readonly AnsweredPrompt[], prompts: readonly TestPrompt[], path: string): void {
  const known = new Map(before.map((answer) => [keyOf(answer), answer]));
  for (const prompt of prompts) {
    const other = known.get(keyOf(prompt));
    if (
      other &&
      (other.instruction !== prompt.instruction ||
        other.input !== prompt.input ||
        JSON.stringify(other.turns) !== JSON.stringify(prompt.turns))
    )
      throw new RunError(
        `${path}: holds an answer to another prompt called ${prompt.id} of ${prompt.set}; call these otherwise with --name, or replace them with --overwrite`,
      );
  }
}

function keyOf({ set, id }: TestPrompt): string {
  return `${set}\0${id}`;
}

/** Starts the model's server, if it has one and a call is left. */
async function startServer(
  prompts: readonly TestPrompt[],
  { answerer }: GenerateOptions,
  progress: StageProgress,
): Promise<AnswersSummary["server"]> {
  const { server, store, model, retryFailed } = answerer;
  if (!server) return undefined;
  const isLeft = prompts.some((prompt) =>
    answerer.ask(prompt).some((request) => {
      const call = store.find(requestKey(model.identity, request));
      return !call || (retryFailed && call.state === "failed");
    }),
  );
  if (!isLeft) return undefined;
  let doing = "starting the server";
  let since = Date.now();
  const showPhase = () =>
    progress.show({
      doing,
      done: Math.round((Date.now() - since) / 1000),
      unit: "seconds",
      ...(Date.now() - since > slowMs && { note: `its output is in ${server.log}` }),
    });
  const clock = setInterval(showPhase, phaseMs).unref();
  try {
    const started = await server.start((phase) => {
      doing = phase;
      since = Date.now();
    });
    return { description: server.description, ...started };
  } finally {
    clearInterval(clock);
  }
}

async function* inBatches(prompts: readonly TestPrompt[]): AsyncGenerator<readonly TestPrompt[]> {
  for (let from = 0; from < prompts.length; from += batchSize) yield prompts.slice(from, from + batchSize);
}

/** Merges new answers into the earlier ones, replacing those to the same prompts. Sets stay together. */
function addAnswers(before: readonly AnsweredPrompt[], answered: readonly AnsweredPrompt[]): AnsweredPrompt[] {
  const all = new Map([...before, ...answered].map((answer) => [keyOf(answer), answer]));
  return [...Map.groupBy(all.values(), ({ set }) => set).values()].flat();
}

function countSets(all: readonly AnsweredPrompt[]): AnsweredSet[] {
  return [...Map.groupBy(all, ({ set }) => set)].map(([set, answers]) => {
    const count = (state: AnswerState) => answers.filter((answer) => answer.state === state).length;
    const outputs = answers.flatMap(({ output }) => (output === null ? [] : [output]));
    return {
      set,
      prompts: answers.length,
      ...(Object.fromEntries(answerStates.map((state) => [state, count(state)])) as Record<AnswerState, number>),
      empty: outputs.filter((output) => output.trim() === "").length,
      meanLength: outputs.length > 0 ? outputs.reduce((sum, { length }) => sum + length, 0) / outputs.length : null,
    };
  });
}

const mostReasons = 3;

/** Why prompts have no answer, most frequent reasons first. */
function describeLosses(answers: readonly AnsweredPrompt[]): string[] {
  const lost = answers.filter(({ state }) => state === "failed" || state === "refused");
  return [...Map.groupBy(lost, ({ detail = "" }) => detail)]
    .toSorted(([, a], [, b]) => b.length - a.length)
    .slice(0, mostReasons)
    .map(([reason, { length }]) => `${formatCount(length)} without an answer: ${reason}`);
}

function describeCuts(answers: readonly AnsweredPrompt[], sets: readonly AnsweredSet[], limit: number): string[] {
  const told = Map.groupBy(
    answers.filter(({ state, detail }) => state === "cut" && detail !== undefined),
    ({ detail }) => detail!,
  );
  const cut = sets.reduce((sum, set) => sum + set.cut, 0) - [...told.values()].flat().length;
  const empty = sets.reduce((sum, set) => sum + set.empty, 0);
  return [
    ...(cut > 0
      ? [
          `${formatNumbered(cut, "answer was", "answers were")} cut at ${formatCount(limit)} tokens: marked "cut", and kept as cut`,
        ]
      : []),
    ...[...told].map(
      ([why, some]) => `${formatNumbered(some.length, "answer is", "answers are")} marked "cut": ${why}`,
    ),
    ...(empty > 0 ? [`${formatNumbered(empty, "answer is", "answers are")} empty`] : []),
  ];
}
