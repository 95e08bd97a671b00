import type { pairConversationNames } from "./rubric.ts";
import type { Exchange } from "../dataset/prompts.ts";

/*
 * How a pair judge reads prompts of several turns.
 */

/** Two answers to one prompt, in the order in which they are shown. */
export interface ShownPair {
  readonly instruction: string;
  readonly input: string;
  readonly category?: string | undefined;
  readonly answers: readonly [first: string, second: string];
  /** The conversations that the answers end, for a turn after the first. */
  readonly dialogues?: readonly [readonly Exchange[], readonly Exchange[]] | undefined;
  readonly references?: readonly string[] | undefined;
}

/** The conversations and references of a pair, as MT-Bench lays them out. */
export function pairParts({
  dialogues,
  references = [],
}: ShownPair): Readonly<Record<(typeof pairConversationNames)[number], string>> {
  const questions = dialogues?.[0].map(({ question }) => question) ?? [];
  return {
    conversation_1: dialogues ? layOut(dialogues[0], "Assistant A") : "",
    conversation_2: dialogues ? layOut(dialogues[1], "Assistant B") : "",
    reference: references[0] ?? "",
    reference_conversation:
      dialogues && references.length === questions.length
        ? layOut(
            questions.map((question, i) => ({ question, answer: references[i]! })),
            "Reference answer",
          )
        : "",
  };
}

function layOut(exchanges: readonly Exchange[], speaker: string): string {
  return exchanges.map(({ question, answer }) => `### User:\n${question}\n\n### ${speaker}:\n${answer}`).join("\n\n");
}

/** The instruction, followed by "Input:" and the input, if any. */
export function questionOf({ instruction, input }: Pick<ShownPair, "instruction" | "input">): string {
  return input === "" ? instruction : `${instruction} Input: ${input}`;
}

const whatItIs =
  "[Each answer is a whole conversation with the same questions. Compare the last answer of each, given what was said before it.]";

/** A pair for a rubric that knows of one question: the answers are whole conversations, and the question says so. */
export function flattenDialogues(pair: ShownPair): ShownPair & { readonly question: string } {
  const { dialogues } = pair;
  if (!dialogues) return { ...pair, question: questionOf(pair) };
  const [first, second] = dialogues;
  const instruction = `${whatItIs}\n\n${first.at(-1)!.question}`;
  return { ...pair, instruction, question: instruction, answers: [tell(first), tell(second)] };
}

function tell(exchanges: readonly Exchange[]): string {
  return exchanges.map(({ question, answer }) => `User: ${question}\n\nAssistant: ${answer}`).join("\n\n");
}
