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
  /** The requests for one pair: first with A's answer shown first, then with B's. */
  ask(pair: AnswerPair): {
    readonly requests: readonly [ModelRequest, ModelRequest];
    readonly intrusions: readonly string[];
  };
}

/** Creates a judge that asks a model to compare each pair in both orders, with a rubric's prompt. See `createLlmJudge`. */
export function createLlmPairJudge(model: ChatModel, options: LlmPairJudgeOptions): LlmPairJudge {
  const { rubric } = options;
  const { asker, engine, sampling, counts, notes, askAhead } = createAsker(model, options);
  const render = createPairRenderer(rubric);

  const ask: LlmPairJudge["ask"] = ({ answers: [a, b], ...pair }) => {
    const { dialogues } = pair;
    const turned = dialogues && { dialogues: [dialogues[1], dialogues[0]] as const };
    const [one, other] = [render({ ...pair, answers: [a, b] }), render({ ...pair, answers: [b, a], ...turned })];
    return {
      requests: [
        { messages: one.messages, sampling },
        { messages: other.messages, sampling },
      ],
      intrusions: one.intrusions,
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
      return notes();
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
        const { requests, intrusions } = ask(pair);
        if (intrusions.length > 0) counts.intruded++;
        return { requests, read: ([one, other]) => [toVerdict(one!, "A"), toVerdict(other!, "B")] as const };
      });
    },
  };
}

/** Turns a reply about the first and the second answer into a verdict about A and B. */
function readOutcome(outcome: CallOutcome, shownFirst: Side, rubric: PairRubric): Verdict {
  if (outcome.state === "pending") return { shownFirst, state: "pending", detail: outcome.detail };
  const { key: call } = outcome;
  if (outcome.state !== "replied") return { shownFirst, state: outcome.state, detail: outcome.detail, call };
  const read = readVerdict(outcome.text, outcome.finish, rubric);
  if (read.state !== "judged") return { shownFirst, state: read.state, detail: read.detail, call };
  const shownSecond = shownFirst === "A" ? "B" : "A";
  const { preference, scores } = read;
  return {
    shownFirst,
    state: "judged",
    winner: preference === "draw" ? "draw" : preference === "first" ? shownFirst : shownSecond,
    ...(scores && { scores: shownFirst === "A" ? { A: scores[0], B: scores[1] } : { A: scores[1], B: scores[0] } }),
    call,
  };
}
