import { hash } from "node:crypto";
import { DataError } from "../errors.ts";
import type { Row } from "../dataset/example.ts";
import { dataErrorAt, type Place } from "../dataset/place.ts";
import { readPrompt, type TestPrompt } from "../dataset/prompts.ts";
import { openRecords } from "../dataset/records.ts";
import { findDatasetFiles } from "../dataset/source.ts";
import { withoutThinking } from "../rubric/reply-text.ts";
import type { AnswerPair } from "./verdict.ts";

/** A model's output for one test prompt. */
export interface Answer extends TestPrompt {
  readonly output: string;
  /** Whether it was cut off at a limit, if the file says so. */
  readonly isCut?: boolean | undefined;
  /** Whether it began with reasoning, which is removed, since people who read answers do not see it. */
  readonly hadReasoning?: boolean | undefined;
}

/** One arm's answers, and the file they come from. */
export interface Answers {
  readonly path: string;
  readonly answers: readonly Answer[];
}

/** The answers of two arms to the same prompts. */
export interface PairedAnswers {
  readonly pairs: readonly AnswerPair[];
  /** How many prompts A has not answered although B has, and the other way round. */
  readonly missing: readonly [a: number, b: number];
  /** How many answers of A and of B are empty. */
  readonly empty: readonly [a: number, b: number];
  /** How many were cut off at a limit. */
  readonly cut: readonly [a: number, b: number];
  /** How many began with reasoning, which is removed. */
  readonly reasoned: readonly [a: number, b: number];
}

const outputColumns = ["output", "answer", "response", "completion", "generated_text"];
const idColumns = ["id", "question_id", "idx"];

/**
 * Reads one arm's answers: rows with a prompt (as in test sets) and its answer, as `output`, `answer`, `response`,
 * `completion` or `generated_text`. Rows with a null answer are skipped. Reasoning before an answer (`<think>…</think>`) is
 * removed, since people who read answers do not see it.
 *
 * @throws DataError when the file cannot be read, a row has no prompt or no answer column, or a prompt occurs twice
 */
export async function readAnswers(path: string): Promise<Answers> {
  const found = new Map<string, Place>();
  const answers: Answer[] = [];
  for (const file of await findDatasetFiles(path)) {
    for await (const batch of (await openRecords(file)).batches()) {
      for (const record of batch) {
        const prompt = readPrompt(record, "prompts", answers.length + 1);
        const row = record.value as Row; // or a text: readPrompt accepts that as a prompt, but it has no answer
        const column = typeof row === "object" ? outputColumns.find((name) => name in row) : undefined;
        if (column === undefined)
          throw dataErrorAt(
            record.place,
            `expected an answer in one of the columns ${outputColumns.join(", ")}, got none`,
          );
        const output = row[column];
        if (output === null) continue;
        if (typeof output !== "string")
          throw dataErrorAt(record.place, `expected ${JSON.stringify(column)} to be a text, got ${typeof output}`);
        const hasId = idColumns.some((name) => row[name] !== undefined && row[name] !== null);
        const key = keyOf(prompt, hasId);
        const before = found.get(key);
        if (before)
          throw dataErrorAt(
            record.place,
            hasId
              ? `expected each id once, got ${JSON.stringify(prompt.id)} again`
              : "expected each prompt once, got one again; give the rows ids",
          );
        found.set(key, record.place);
        const isCut = row["state"] === "cut";
        const answer = withoutThinking(output, () => false)?.trimStart() ?? ""; // empty if the reasoning never ends
        const hadReasoning = answer.length < output.trimStart().length;
        answers.push({
          ...prompt,
          id: hasId ? prompt.id : key,
          output: hadReasoning ? answer : output,
          ...(isCut && { isCut }),
          ...(hadReasoning && { hadReasoning }),
        });
      }
    }
  }
  if (answers.length === 0) throw new DataError(`${path}: expected answers, got none`);
  return { path, answers };
}

/** The key of a prompt: its set and id, or its text if it has no id. */
function keyOf({ set, id, instruction, input }: TestPrompt, hasId: boolean): string {
  return hasId ? `${set}\0${id}` : `${instruction}\0${input}`;
}

/**
 * Pairs the answers of two arms to the same prompts, in A's order. Answers are matched by set and id, or by the prompt's
 * text if no set and id is common to both.
 *
 * @throws DataError when an id belongs to two different prompts, a prompt occurs twice, or no prompt is answered by both
 */
export function pairAnswers(a: Answers, b: Answers): PairedAnswers {
  const byId = matchBy(a, b, ({ set, id }) => `${set}\0${id}`);
  const matches = byId.length > 0 ? byId : matchBy(a, b, ({ instruction, input }) => `${instruction}\0${input}`);
  if (matches.length === 0)
    throw new DataError(
      `${a.path}, ${b.path}: expected answers to the same prompts, got none in common, neither by set and id nor by text`,
    );
  const pairs = matches.map(([own, other]): AnswerPair => {
    const { set, category, instruction, input, output } = own;
    const prompt = { set, id: own.id, category, instruction, input };
    if (other.instruction !== prompt.instruction || other.input !== prompt.input)
      throw new DataError(
        `${b.path}: expected ${prompt.id} of ${prompt.set} to be the prompt that ${a.path} answers (${shorten(prompt.instruction)}), got ${shorten(other.instruction)}`,
      );
    const id = prompt.id.includes("\0")
      ? `${shorten(prompt.instruction)} #${hash("sha256", prompt.id).slice(0, 8)}`
      : prompt.id;
    return { ...prompt, id, answers: [output, other.output] };
  });
  return {
    pairs,
    missing: [b.answers.length - pairs.length, a.answers.length - pairs.length],
    empty: [countEmpty(pairs, 0), countEmpty(pairs, 1)],
    cut: [matches.filter(([one]) => one.isCut).length, matches.filter(([, other]) => other.isCut).length],
    reasoned: [
      matches.filter(([one]) => one.hadReasoning).length,
      matches.filter(([, other]) => other.hadReasoning).length,
    ],
  };
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

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function countEmpty(pairs: readonly AnswerPair[], side: 0 | 1): number {
  return pairs.filter(({ answers }) => answers[side].trim() === "").length;
}
