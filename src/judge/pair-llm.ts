import { hash } from "node:crypto";
import type { AnswerPair, Side, Verdict } from "../comparison/verdict.ts";
import { UsageError } from "../errors.ts";
import { askInOrder } from "../llm/ask-in-order.ts";
import type { ChatModel } from "../llm/chat-model.ts";
import type { CallOutcome } from "../llm/reply.ts";
import type { ModelRequest } from "../llm/request.ts";
import { readVerdict } from "../rubric/read-verdict.ts";
import { createPairRenderer } from "../rubric/render.ts";
import type { PairRubric } from "../rubric/rubric.ts";
import { createAsker, type Asker, type AskerOptions } from "./asker.ts";
import type { PairJudge } from "./pair-judge.ts";

export interface LlmPairJudgeOptions extends AskerOptions {
  readonly rubric: PairRubric;
}

/** A pair judge that calls a model. `ask` gives its requests without sending them. */
export interface LlmPairJudge extends Asker, Omit<PairJudge, keyof Asker> {
  /** The requests for one pair: first with A's answer shown first, then with B's; one of them where the rubric asks in a random order. */
  ask(pair: AnswerPair): {
    readonly requests: readonly ModelRequest[];
    /** Whose answer each request shows first. */
    readonly shownFirst: readonly Side[];
    readonly intrusions: readonly string[];
  };
}

/**
 * Creates a judge that asks a model to compare each pair, with a rubric's prompt: in both orders, or in one that is drawn by the prompt, as
 * the rubric says. See `createLlmJudge`.
 *
 * @throws UsageError when the rubric reads token probabilities and the model returns none
 */
export function createLlmPairJudge(model: ChatModel, options: LlmPairJudgeOptions): LlmPairJudge {
  const { rubric } = options;
  const topLogprobs = rubric.reply.format === "tokens" ? rubric.reply.top : undefined;
  if (topLogprobs !== undefined && !model.tellLogprobs)
    throw new UsageError(
      `--rubric ${rubric.name}: expected a model that returns token probabilities (an openai: model that does not reason first, or your own server), got ${model.name}; use --rubric verdict`,
    );
  const { asker, engine, sampling, counts, notes, askAhead } = createAsker(model, options);
  const render = createPairRenderer(rubric);

  const ask: LlmPairJudge["ask"] = ({ answers: [a, b], ...pair }) => {
    const { dialogues } = pair;
    const turned = dialogues && { dialogues: [dialogues[1], dialogues[0]] as const };
    const sides = rubric.orders === "random" ? [drawSide(pair)] : (["A", "B"] as const);
    const rendered = sides.map((first) =>
      render(first === "A" ? { ...pair, answers: [a, b] } : { ...pair, answers: [b, a], ...turned }),
    );
    return {
      requests: rendered.map(({ messages }) => ({ messages, sampling, topLogprobs })),
      shownFirst: sides,
      intrusions: rendered[0]!.intrusions,
    };
  };
  const toVerdict = (outcome: CallOutcome, shownFirst: Side): Verdict => {
    const verdict = readOutcome(outcome, shownFirst, rubric);
    if (verdict.state === "truncated") counts.truncated++;
    return verdict;
  };

  return {
    ...asker,
    ask,
    get notes() {
      const once =
        "each pair was judged in one order, drawn by its prompt, as the rubric says: a preference for a place is noise, no bias";
      return [...notes(), ...(rubric.orders === "random" ? [once] : [])];
    },
    prepare(pairs, onProgress) {
      if (model.problem !== undefined) throw new UsageError(model.problem);
      return askAhead(async function* () {
        for await (const batch of pairs()) yield batch.flatMap((pair) => ask(pair).requests);
      }, onProgress);
    },
    compare(pairs) {
      if (model.problem !== undefined) throw new UsageError(model.problem);
      return askInOrder(engine, pairs, (pair) => {
        const { requests, shownFirst, intrusions } = ask(pair);
        if (intrusions.length > 0) counts.intruded++;
        const marked = intrusions.length > 0 ? { intrusions } : {};
        const read = (outcomes: readonly CallOutcome[]): Verdict[] =>
          outcomes.map((outcome, i) => ({ ...toVerdict(outcome, shownFirst[i]!), ...marked }));
        return { requests, read };
      });
    },
  };
}

/** Whose answer is shown first, by the prompt alone: so the same in every comparison of it. */
function drawSide({ instruction, input, prompt }: Omit<AnswerPair, "answers">): Side {
  return hash("sha256", ["order", instruction, input, prompt ?? ""].join("\0"), "buffer")[0]! % 2 === 0 ? "A" : "B";
}

/** Turns a reply about the first and the second answer into a verdict about A and B. */
function readOutcome(outcome: CallOutcome, shownFirst: Side, rubric: PairRubric): Verdict {
  if (outcome.state === "pending") return { shownFirst, state: "pending", detail: outcome.detail };
  const { key: call } = outcome;
  if (outcome.state !== "replied") return { shownFirst, state: outcome.state, detail: outcome.detail, call };
  const read = readVerdict(outcome.text, outcome.finish, rubric, outcome.logprobs);
  if (read.state !== "judged") return { shownFirst, state: read.state, detail: read.detail, call };
  const shownSecond = shownFirst === "A" ? "B" : "A";
  const { preference, scores, graded, weight } = read;
  return {
    shownFirst,
    state: "judged",
    winner: preference === "draw" ? "draw" : preference === "first" ? shownFirst : shownSecond,
    ...(scores && { scores: shownFirst === "A" ? { A: scores[0], B: scores[1] } : { A: scores[1], B: scores[0] } }),
    ...(graded !== undefined && { preference: shownFirst === "A" ? graded : 1 - graded }),
    ...(weight !== undefined && { weight }),
    call,
  };
}
