import { hash } from "node:crypto";
import { DataError } from "../errors.ts";
import { type Answers, type Answer, shorten } from "./answers.ts";
import type { AnswerPair } from "./verdict.ts";
import { formatCount, formatNumbered } from "../format.ts";
import type { Exchange, TestPrompt } from "../dataset/prompts.ts";

/** The answers of two arms to the same prompts. */
export interface PairedAnswers {
  readonly pairs: readonly AnswerPair[];
  /** How many prompts A has not answered, and B. */
  readonly missing: readonly [a: number, b: number];
  /** How many of these neither has answered, as their files say. */
  readonly neither: number;
  /** How many more pairs there would be if both had answered all prompts. */
  readonly missingPairs: number;
  /** How many answers of A and of B are empty. */
  readonly empty: readonly [a: number, b: number];
  /** How many were cut off at a limit. */
  readonly cut: readonly [a: number, b: number];
  /** How many began with reasoning, which is removed. */
  readonly reasoned: readonly [a: number, b: number];
}

/**
 * Pairs the answers of two arms to the same prompts, in A's order. Answers are matched by set and id, or by the prompt's
 * text if no set and id is common to both.
 *
 * @throws DataError when an id belongs to two different prompts, a prompt occurs twice, or no prompt is answered by both
 */
export function pairAnswers(a: Answers, b: Answers, turns: JudgedTurns = "each"): PairedAnswers {
  const idOf = ({ set, id }: TestPrompt) => `${set}\0${id}`;
  const textOf = ({ instruction, input }: TestPrompt) => `${instruction}\0${input}`;
  const byId = matchBy(a, b, idOf);
  const matches = byId.length > 0 ? byId : matchBy(a, b, textOf);
  const keyOfAnswer = byId.length > 0 ? idOf : textOf;
  if (matches.length === 0)
    throw new DataError(
      `${a.path}, ${b.path}: expected answers to the same prompts, got none in common, neither by set and id nor by text`,
    );
  const pairs = matches.flatMap(([own, other]): AnswerPair[] => {
    const { set, category, instruction, input, output } = own;
    const difficulty = own.difficulty ?? other.difficulty;
    const prompt = { set, id: own.id, category, ...(difficulty !== undefined && { difficulty }), instruction, input };
    const isOther = JSON.stringify(other.turns) !== JSON.stringify(own.turns);
    if (isOther || other.instruction !== prompt.instruction || other.input !== prompt.input)
      throw new DataError(
        `${b.path}: expected ${prompt.id} of ${prompt.set} to be the prompt that ${a.path} answers (${shorten(prompt.instruction)}), got ${shorten(other.instruction)}`,
      );
    const id = prompt.id.includes("\0")
      ? `${shorten(prompt.instruction)} #${hash("sha256", prompt.id).slice(0, 8)}`
      : prompt.id;
    const references = own.references && { references: own.references };
    if (!own.turns) return [{ ...prompt, id, ...references, answers: [output, other.output] }];
    const all = pairTurns({ ...prompt, id, ...references }, own, other);
    return turns === "last" ? all.slice(-1) : all;
  });
  const twice = pairs.find(
    (
      (seen: Set<string>) =>
      ({ set, id }: AnswerPair) =>
        seen.size === seen.add(`${set}\0${id}`).size
    )(new Set()),
  );
  if (twice)
    throw new DataError(
      `${a.path}: expected ids that differ, got ${JSON.stringify(twice.id)} of ${twice.set} both as a turn of a conversation and as a prompt; name that prompt otherwise`,
    );
  const known = new Set([...a.answers, ...b.answers].map(keyOfAnswer));
  const open = new Map(
    [...(a.unanswered ?? []), ...(b.unanswered ?? [])].map((prompt) => [keyOfAnswer(prompt), prompt]),
  );
  const neither = [...open].flatMap(([key, prompt]) => (known.has(key) ? [] : [prompt]));
  const countPairs = (prompts: readonly TestPrompt[]) =>
    prompts.reduce((sum, { turns: asked }) => sum + (turns === "each" ? (asked?.length ?? 1) : 1), 0);
  const lacking = [lackingIn(a, b, keyOfAnswer), lackingIn(b, a, keyOfAnswer)] as const;
  return {
    pairs,
    missingPairs: countPairs([...lacking.flat(), ...neither]),
    missing: [lacking[0].length + neither.length, lacking[1].length + neither.length],
    neither: neither.length,
    empty: [countEmpty(pairs, 0), countEmpty(pairs, 1)],
    cut: [matches.filter(([one]) => one.isCut).length, matches.filter(([, other]) => other.isCut).length],
    reasoned: [
      matches.filter(([one]) => one.hadReasoning).length,
      matches.filter(([, other]) => other.hadReasoning).length,
    ],
  };
}

/** The prompts that the other has answered and this one has not. */
function lackingIn(own: Answers, other: Answers, keyOfAnswer: (prompt: TestPrompt) => string): TestPrompt[] {
  const known = new Set(own.answers.map(keyOfAnswer));
  return other.answers.filter((answer) => !known.has(keyOfAnswer(answer)));
}

/** Which turns of a conversation are judged. */
export type JudgedTurns = "each" | "last";

/** A pair for each turn: the answers to it, given the conversation before. */
function pairTurns(prompt: Omit<AnswerPair, "answers">, own: Answer, other: Answer): AnswerPair[] {
  return own.turns!.map((question, turn) => {
    const dialogueOf = ({ outputs = [] }: Answer) =>
      own.turns!.slice(0, turn + 1).map((asked, i): Exchange => ({ question: asked, answer: outputs[i]! }));
    return {
      ...prompt,
      id: `${prompt.id} turn ${turn + 1}`,
      prompt: prompt.id,
      instruction:
        turn === 0
          ? question
          : own
              .turns!.slice(0, turn + 1)
              .map((text) => `User: ${text}`)
              .join("\n\n"),
      answers: [own.outputs![turn]!, other.outputs![turn]!],
      ...(prompt.references && { references: prompt.references.slice(0, turn + 1) }),
      ...(turn > 0 && { dialogues: [dialogueOf(own), dialogueOf(other)] as const }),
    };
  });
}

function matchBy(a: Answers, b: Answers, keyOfAnswer: (answer: Answer) => string): (readonly [Answer, Answer])[] {
  const others = indexBy(b, keyOfAnswer);
  indexBy(a, keyOfAnswer); // throws if two answers have the same key
  return a.answers.flatMap((answer) => {
    const other = others.get(keyOfAnswer(answer));
    return other ? [[answer, other] as const] : [];
  });
}

/** @throws DataError when two answers have the same key */
function indexBy({ path, answers }: Answers, keyOfAnswer: (answer: Answer) => string): Map<string, Answer> {
  const index = new Map<string, Answer>();
  for (const answer of answers) {
    const key = keyOfAnswer(answer);
    if (index.has(key))
      throw new DataError(
        `${path}: expected each prompt once, got ${shorten(answer.instruction)} again; give the rows ids`,
      );
    index.set(key, answer);
  }
  return index;
}

function countEmpty(pairs: readonly AnswerPair[], side: 0 | 1): number {
  return pairs.filter(({ answers }) => answers[side].trim() === "").length;
}

/** Notes on an arm's missing, empty and cut answers, and on those with reasoning. */
export function describeGaps(arm: string, missing: number, empty: number, cut: number, reasoned: number): string[] {
  const notes = [];
  if (missing > 0)
    notes.push(
      `${formatNumbered(missing, "prompt has", "prompts have")} no answer in ${arm}: no pair is judged, and the coverage counts ${missing === 1 ? "it" : "them"} as missing`,
    );
  if (empty > 0) notes.push(`${formatCount(empty)} answers of ${arm} are empty; they are judged as they are`);
  if (cut > 0)
    notes.push(`${formatCount(cut)} answers of ${arm} were cut at a limit of tokens; they are judged as they are`);
  if (reasoned > 0)
    notes.push(
      `${formatCount(reasoned)} answers of ${arm} begin with reasoning (<think>), which is left out, as a reader does not see it`,
    );
  return notes;
}
