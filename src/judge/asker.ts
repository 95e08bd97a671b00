import { createHash } from "node:crypto";
import { formatCount } from "../format.ts";
import { BatchAsker, type BatchProgress } from "../llm/batches/batch-asker.ts";
import type { CallStore } from "../llm/call-store.ts";
import type { CallsReport } from "../llm/call-tally.ts";
import { Engine, type EngineOptions } from "../llm/engine.ts";
import type { ChatModel } from "../llm/chat-model.ts";
import type { ModelRequest, ReasoningEffort, Sampling } from "../llm/request.ts";
import type { RubricBase } from "../rubric/rubric.ts";
import type { Question } from "../run/records/common.ts";
import type { Judge, JudgeAccounts } from "./judge.ts";
import type { Example } from "../dataset/example.ts";

export interface AskerOptions extends EngineOptions {
  /** The sampling settings and the hash of what is asked; with a name and a version if it is a rubric. */
  readonly rubric: Pick<RubricBase, "hash" | "sampling"> & Partial<Pick<RubricBase, "name" | "version">>;
  /** Replaces the rubric's limit. */
  readonly maxOutputTokens?: number | undefined;
  readonly reasoning?: ReasoningEffort | undefined;
  /** Request the probabilities of the likeliest tokens at each position of a reply. */
  readonly logprobs?: boolean | undefined;
  /** How many replies to draw for each question. Default 1. */
  readonly samples?: number | undefined;
  /** A name that becomes part of every request's key, so that only replies stored under this name are reused. */
  readonly probe?: string | undefined;
  /** Use the provider's batch API: the most calls per batch, and whether to wait for the results. */
  readonly batch?: { readonly size?: number | undefined; readonly wait?: boolean | undefined } | undefined;
}

/** The common part of everything that calls a model. */
export interface Asker {
  readonly name: string;
  readonly model: ChatModel;
  readonly store: CallStore;
  /** The purse in the call store that its calls are paid from. */
  readonly purse: string;
  readonly question: Question;
  readonly calls: () => CallsReport;
  readonly accounts: () => JudgeAccounts;
  /** Whether the store has what came of a call. */
  readonly hasCall: (key: string) => boolean;
  /** The most that a request can cost, in billionths of a US dollar; 0 when no price is known. */
  highestCost(request: ModelRequest): number;
  /** Why it cannot make calls, in one line; undefined if it can. */
  readonly problem: string | undefined;
  /** Whether it asks in batches. */
  readonly isBatched: boolean;
}

/** A judge that calls a model, whose calls for an example can be told without making them. */
export interface PlannedJudge extends Asker, Omit<Judge, keyof Asker> {
  ask(example: Example): { readonly requests: readonly ModelRequest[]; readonly intrusions: readonly string[] };
}

/** Counts of rows with intrusions and of truncated replies, for the notes. */
export interface ReplyCounts {
  intruded: number;
  truncated: number;
}

const samplesTemperature = 1; // as in G-Eval; at 0 all replies would be the same
const roomToThink = 4096; // extra tokens for models that reason first; the rubric's limit is for the answer alone

/** Creates an engine, with settings from a rubric and from the user's options. */
export function createAsker(
  model: ChatModel,
  options: AskerOptions,
): {
  readonly asker: Asker;
  readonly engine: Engine;
  readonly sampling: Sampling;
  readonly counts: ReplyCounts;
  readonly notes: () => string[];
  readonly askAhead: AskAhead;
} {
  const sampling = chooseSampling(model, options);
  const { batch: batching, retryFailed, ...asking } = options;
  const engine = new Engine(model, { ...asking, retryFailed: retryFailed && !batching });
  const batches = batching && openBatches(model, options);
  const counts = { intruded: 0, truncated: 0 };
  const asker: Asker = {
    name: model.name,
    model,
    store: options.store,
    purse: options.purse,
    question: describeQuestion(model, options, sampling),
    calls: () => (batches ? addBatches(engine.report, batches.report) : engine.report),
    accounts: () => {
      const { paid, perhapsPaid, batched } = options.store.purse(options.purse);
      return {
        store: options.store.path,
        priceBasis: model.price?.basis ?? null,
        budgetUsd: options.budgetUsd,
        runPaid: model.price ? paid : null,
        runPerhapsPaid: perhapsPaid,
        ...(batched > 0 && { batched }),
        meanCost: meanCost(model, options.store, batches !== undefined),
        ...(engine.dearestCost > 0 && { highestCost: engine.dearestCost }),
      };
    },
    hasCall: (key) => options.store.stateOf(key) !== undefined,
    highestCost: (request) => engine.highestCost(request),
    problem: model.problem,
    isBatched: batching !== undefined,
  };
  return {
    asker,
    engine,
    sampling,
    counts,
    notes: () => [
      ...describeNotes(model, sampling, asker.calls(), counts),
      ...describeOtherModels(model, options.store.builds(model.identity)),
      ...engine.notes().map((text) => `${model.name}: ${text}`),
    ],
    askAhead: async (requests, onProgress) => {
      if (batches) {
        await batches.ask(requests, onProgress);
        const { stopped, failure, hasReplied } = batches;
        engine.hold(stopped ?? "batches", { hasReplied, failure }); // no call is made at the full price
      } else if (model.batches && options.store.batches.open(model.identity).length > 0) {
        await openBatches(model, options).fetchEnded();
      }
    },
  };
}

/** What a reply costs at today's price: by the tokens of past ones, or else what these cost. */
function meanCost(model: ChatModel, store: CallStore, isBatched: boolean): number | null {
  const price = isBatched ? model.batches?.price : model.price;
  if (!price) return null;
  const past = store.pastUse(model.identity);
  if (!past) return store.meanCost(model.identity);
  const { inputTokens, cachedInputTokens, outputTokens } = past;
  return price.costOf({ inputTokens, cachedInputTokens, outputTokens, cacheWriteTokens: 0, reasoningTokens: 0 });
}

/** Makes the calls in advance, if batches are wanted. Otherwise fetches the results of batches that were left open. */
export type AskAhead = (
  requests: () => AsyncIterable<readonly ModelRequest[]>,
  onProgress?: (progress: BatchProgress) => void,
) => Promise<void>;

function openBatches(model: ChatModel, { batch, ...options }: AskerOptions): BatchAsker {
  return new BatchAsker(model, {
    ...options,
    batchSize: batch?.size,
    wait: batch?.wait,
  });
}

/** Adds the report on batches to that on direct calls, which finds the batches' replies in the store: these count once. */
function addBatches(direct: CallsReport, batched: BatchAsker["report"]): CallsReport {
  return {
    made: direct.made + batched.made,
    stored: Math.max(0, direct.stored - Math.max(0, batched.made - direct.shared)),
    shared: Math.max(0, direct.shared - batched.made),
    attempts: direct.attempts + batched.attempts,
    failed: direct.failed + batched.failed,
    withoutUsage: direct.withoutUsage + batched.withoutUsage,
    waiting: direct.waiting,
    inputTokens: direct.inputTokens + batched.inputTokens,
    outputTokens: direct.outputTokens + batched.outputTokens,
    paid: direct.paid === null || batched.paid === null ? null : direct.paid + batched.paid,
    perhapsPaid: direct.perhapsPaid + batched.perhapsPaid,
    inFlight: direct.inFlight + batched.inFlight,
    inBatches: batched.inBatches,
    stopped: direct.stopped ?? batched.stopped,
    failure: direct.failure ?? batched.failure,
    warnings: [...new Set([...direct.warnings, ...batched.warnings])],
  };
}

function chooseSampling(model: ChatModel, { rubric, maxOutputTokens, reasoning, samples = 1 }: AskerOptions): Sampling {
  const { top_p: topP, max_output_tokens: limit, seed } = rubric.sampling;
  const temperature = samples > 1 ? rubric.sampling.temperature || samplesTemperature : rubric.sampling.temperature;
  const thinks = model.thinksFirst ? reasoning !== "none" : reasoning !== undefined && reasoning !== "none";
  return {
    maxOutputTokens: maxOutputTokens ?? limit + (thinks ? roomToThink : 0),
    temperature,
    topP,
    ...(seed !== undefined && samples === 1 && { seed }),
    reasoning,
  };
}

function describeQuestion(
  model: ChatModel,
  { rubric, logprobs, samples = 1 }: AskerOptions,
  sampling: Sampling,
): Question {
  const more = { logprobs, ...(samples > 1 && { samples }) };
  return {
    ...(rubric.name !== undefined && { rubric: rubric.name, rubricVersion: rubric.version }),
    maxOutputTokens: sampling.maxOutputTokens,
    temperature: sampling.temperature,
    reasoning: sampling.reasoning,
    ...more,
    hash: createHash("sha256")
      .update(JSON.stringify([model.identity, rubric.hash, sampling, ...(Object.keys(more).length > 0 ? [more] : [])]))
      .digest("hex")
      .slice(0, 16),
  };
}

/** A note where a server's replies name another model than the one that was asked for. */
function describeOtherModels({ name }: ChatModel, builds: readonly { build: string; replies: number }[]): string[] {
  const plain = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, "");
  const asked = name
    .replace(/:(?:free|latest)$/, "")
    .split(/[#/:]/)
    .at(-1)!;
  const others = builds.filter(({ build }) => {
    const said = plain(build.split(" ")[0]!.split("/").at(-1)!);
    return said !== "" && !plain(build).includes(plain(asked)) && !plain(asked).includes(said);
  });
  return others.length === 0
    ? []
    : [
        `${asked} was asked for, and the replies say that they are by ${others.map(({ build, replies }) => `${build} (${formatCount(replies)})`).join(", ")}: check that it is the model that you mean`,
      ];
}

function describeNotes(
  model: ChatModel,
  { maxOutputTokens, temperature, reasoning }: Sampling,
  { warnings, withoutUsage }: CallsReport,
  { intruded, truncated }: ReplyCounts,
): string[] {
  const notes = [...(model.notes?.() ?? []), ...warnings].map((text) => `${model.name}: ${text}`);
  if (model.thinksFirst && reasoning === undefined)
    notes.push(
      `this model reasons before it answers; reasoning is charged as output (up to ${formatCount(maxOutputTokens)} tokens per reply); --reasoning low makes it cheaper`,
    );
  if (withoutUsage > 0)
    notes.push(
      `${formatCount(withoutUsage)} replies came without token usage; the highest possible cost is counted for them`,
    );
  if (truncated > 0)
    notes.push(
      `${formatCount(truncated)} replies were cut off at ${formatCount(maxOutputTokens)} tokens before their score or verdict; --max-output-tokens allows more (and asks for all replies again)`,
    );
  if (intruded > 0)
    notes.push(
      `${formatCount(intruded)} rows contain parts of the rubric's own text, such as its headings, which the judge may mistake for the rubric itself; they are marked "intrusions" in the run's files`,
    );
  if (temperature === undefined) notes.push("the rubric sets no temperature: new calls may give different replies");
  return notes;
}
