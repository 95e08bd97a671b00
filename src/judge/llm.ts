import type { Example } from "../dataset/example.ts";
import { dataErrorAt } from "../dataset/place.ts";
import { messageOf, UsageError } from "../errors.ts";
import { askInOrder } from "../llm/ask-in-order.ts";
import type { ChatModel } from "../llm/open-model.ts";
import type { CallOutcome } from "../llm/reply.ts";
import type { ModelRequest, ReplySchema } from "../llm/request.ts";
import { readScore } from "../rubric/read-score.ts";
import { createRenderer } from "../rubric/render.ts";
import type { Rubric } from "../rubric/rubric.ts";
import type { Rating } from "../run/rating.ts";
import { createAsker, type Asker, type AskerOptions } from "./asker.ts";
import type { Judge } from "./judge.ts";

export interface LlmJudgeOptions extends AskerOptions {
  readonly rubric: Rubric;
}

/** A judge that asks a model, and what it would ask. */
export interface LlmJudge extends Asker, Omit<Judge, keyof Asker> {
  /** The request that an example becomes. */
  ask(example: Example): { readonly request: ModelRequest; readonly intrusions: readonly string[] };
}

/**
 * A judge that asks a model about every example, as a rubric says. Replies are kept in the call store, and looked for
 * there first. When its engine stops (interrupted, at the budget), the examples not asked about are `pending`.
 *
 * Its `rate` throws what stops the engine for good, after everything in flight has ended: a key that is not accepted, a
 * model that is not there.
 */
export function createLlmJudge(model: ChatModel, options: LlmJudgeOptions): LlmJudge {
  const { rubric } = options;
  const { asker, engine, sampling, counts, notes, askAhead } = createAsker(model, options);
  const replySchema = replySchemaOf(rubric);
  const render = createRenderer(rubric);

  const renderAt = (example: Example) => {
    try {
      return render(example);
    } catch (cause) {
      throw dataErrorAt(
        example.place,
        `expected a row that the rubric ${rubric.name} can show, got an error: ${messageOf(cause)}`,
        cause,
      );
    }
  };
  const ask = (example: Example) => {
    const { messages, intrusions } = renderAt(example);
    return { request: { messages, sampling, ...(replySchema && { replySchema }) }, intrusions };
  };
  const toRating = (outcome: CallOutcome, intrusions: readonly string[]): Rating => {
    const rating = readOutcome(outcome, rubric);
    if (rating.state === "truncated") counts.truncated++;
    if (intrusions.length === 0) return rating;
    counts.intruded++;
    return { ...rating, intrusions };
  };

  return {
    ...asker,
    scale: { min: rubric.scale.min, max: rubric.scale.max },
    ask,
    get notes() {
      return notes();
    },
    prepare(examples, onProgress) {
      if (model.problem !== undefined) throw new UsageError(model.problem);
      return askAhead(async function* () {
        for await (const batch of examples()) yield batch.map((example) => ask(example).request);
      }, onProgress);
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
