import { createHash } from "node:crypto";
import type { Example } from "../dataset/example.ts";
import { UsageError } from "../errors.ts";
import { formatCount } from "../format-count.ts";
import type { CallStore } from "../llm/call-store.ts";
import { askInOrder } from "../llm/ask-in-order.ts";
import { Engine, type CallsReport, type EngineOptions } from "../llm/engine.ts";
import type { ChatModel } from "../llm/open-model.ts";
import type { CallOutcome } from "../llm/reply.ts";
import type { ModelRequest, ReasoningEffort, ReplySchema, Sampling } from "../llm/request.ts";
import { readScore } from "../rubric/read-score.ts";
import { createRenderer } from "../rubric/render.ts";
import type { Rubric } from "../rubric/rubric.ts";
import type { Question } from "../run/manifest.ts";
import type { Rating } from "../run/rating.ts";
import type { Judge, JudgeAccounts } from "./judge.ts";

export interface LlmJudgeOptions extends EngineOptions {
  readonly rubric: Rubric;
  /** Instead of the rubric's own limit. */
  readonly maxOutputTokens?: number;
  readonly reasoning?: ReasoningEffort;
}

/** A judge that asks a model, and what it would ask. */
export interface LlmJudge extends Judge {
  readonly model: ChatModel;
  readonly store: CallStore;
  readonly question: Question;
  readonly calls: () => CallsReport;
  readonly accounts: () => JudgeAccounts;
  /** The request that an example becomes. */
  ask(example: Example): { readonly request: ModelRequest; readonly intrusions: readonly string[] };
  /** The most that a request can cost, in billionths of a US dollar; 0 when no price is known. */
  highestCost(request: ModelRequest): number;
  /** What would keep it from asking, in a line. */
  readonly problem: string | undefined;
}

const roomToThink = 4096; // tokens for models that reason before they answer: the rubric's limit is for the answer

/**
 * A judge that asks a model about every example, as a rubric says. Replies are kept in the call store, and looked for
 * there first. When its engine stops (interrupted, at the budget), the examples not asked about are `pending`.
 *
 * Its `rate` throws what stops the engine for good, after everything in flight has ended: a key that is not accepted, a
 * model that is not there.
 */
export function createLlmJudge(model: ChatModel, options: LlmJudgeOptions): LlmJudge {
  const { rubric } = options;
  const sampling = chooseSampling(model, options);
  const replySchema = replySchemaOf(rubric);
  const render = createRenderer(rubric);
  const engine = new Engine(model, options);
  let intruded = 0;
  let truncated = 0;

  const ask = (example: Example) => {
    const { messages, intrusions } = render(example);
    return { request: { messages, sampling, ...(replySchema && { replySchema }) }, intrusions };
  };
  const toRating = (outcome: CallOutcome, intrusions: readonly string[]): Rating => {
    const rating = readOutcome(outcome, rubric);
    if (rating.state === "truncated") truncated++;
    if (intrusions.length === 0) return rating;
    intruded++;
    return { ...rating, intrusions };
  };

  return {
    name: model.name,
    scale: { min: rubric.scale.min, max: rubric.scale.max },
    question: describeQuestion(model, rubric, sampling),
    model,
    store: options.store,
    problem: model.problem,
    ask,
    highestCost: (request) => engine.highestCost(request),
    get notes() {
      return describeNotes(model, sampling, engine.report.warnings, { intruded, truncated });
    },
    calls: () => engine.report,
    accounts: () => {
      const { paid, perhapsPaid } = options.store.purse(options.purse);
      return {
        store: options.store.path,
        priceBasis: model.price?.basis ?? null,
        ...(options.budgetUsd !== undefined && { budgetUsd: options.budgetUsd }),
        runPaid: model.price ? paid : null,
        runPerhapsPaid: perhapsPaid,
        meanCost: model.price ? options.store.meanCost(model.identity) : null,
      };
    },
    rate(examples) {
      if (model.problem !== undefined) throw new UsageError(model.problem);
      return askInOrder(engine, examples, (example) => {
        const { request, intrusions } = ask(example);
        return { requests: [request], read: ([outcome]) => toRating(outcome!, intrusions) };
      });
    },
  };
}

function readOutcome(outcome: CallOutcome, rubric: Rubric): Rating {
  if (outcome.state === "replied") return { ...readScore(outcome.text, outcome.finish, rubric), call: outcome.key };
  if (outcome.state === "pending") return { state: "pending", detail: outcome.detail };
  return { state: outcome.state, detail: outcome.detail, call: outcome.key };
}

function chooseSampling(model: ChatModel, { rubric, maxOutputTokens, reasoning }: LlmJudgeOptions): Sampling {
  const { temperature, top_p: topP, max_output_tokens: limit, seed } = rubric.sampling;
  const thinks = model.thinksFirst ? reasoning !== "none" : reasoning !== undefined && reasoning !== "none";
  return {
    maxOutputTokens: maxOutputTokens ?? limit + (thinks ? roomToThink : 0),
    ...(temperature !== undefined && { temperature }),
    ...(topP !== undefined && { topP }),
    ...(seed !== undefined && { seed }),
    ...(reasoning && { reasoning }),
  };
}

function replySchemaOf({ name, scale, reply }: Rubric): ReplySchema | undefined {
  if (reply.format !== "json") return undefined;
  const score = { type: scale.step === 1 && Number.isInteger(scale.min) ? "integer" : "number" } as const;
  const schema = reply.schema ?? {
    type: "object",
    properties: { reason: { type: "string" }, [reply.score]: score },
    required: ["reason", reply.score],
    additionalProperties: false,
  };
  return { name: name.replaceAll("-", "_"), schema };
}

function describeQuestion(model: ChatModel, rubric: Rubric, sampling: Sampling): Question {
  return {
    rubric: rubric.name,
    rubricVersion: rubric.version,
    maxOutputTokens: sampling.maxOutputTokens,
    ...(sampling.temperature !== undefined && { temperature: sampling.temperature }),
    ...(sampling.reasoning && { reasoning: sampling.reasoning }),
    hash: createHash("sha256")
      .update(JSON.stringify([model.identity, rubric.hash, sampling]))
      .digest("hex")
      .slice(0, 16),
  };
}

function describeNotes(
  model: ChatModel,
  { maxOutputTokens, temperature, reasoning }: Sampling,
  warnings: readonly string[],
  { intruded, truncated }: { intruded: number; truncated: number },
): string[] {
  const notes = warnings.map((warning) => `${model.name}: ${warning}`);
  if (model.thinksFirst && reasoning === undefined)
    notes.push(
      `this model reasons before it answers, which is paid for as output (up to ${formatCount(maxOutputTokens)} tokens a reply); --reasoning low makes it cheaper`,
    );
  if (truncated > 0)
    notes.push(
      `${formatCount(truncated)} replies ended at ${formatCount(maxOutputTokens)} tokens before their score; --max-output-tokens allows more (and asks every row again)`,
    );
  if (intruded > 0)
    notes.push(
      `${formatCount(intruded)} rows contain parts of the rubric's own text, such as its headings, which the judge may take for the rubric's; they are marked "intrusions" in ratings.jsonl`,
    );
  if (temperature === undefined) notes.push("the rubric sets no temperature: asking again may give other scores");
  return notes;
}
