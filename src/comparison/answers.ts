import { DataError, kindOf } from "../errors.ts";
import type { Row } from "../dataset/example.ts";
import { dataErrorAt, type Place } from "../dataset/place.ts";
import { readPrompt, type TestPrompt } from "../dataset/prompts.ts";
import type { FileRecord } from "../dataset/record-source.ts";
import { openRecords } from "../dataset/records.ts";
import { findDatasetFiles } from "../dataset/source.ts";
import { withoutThinking } from "../rubric/thinking.ts";

/** A model's output for one test prompt. */
export interface Answer extends TestPrompt {
  /** With several turns, the answer to the last. */
  readonly output: string;
  /** The answers to all turns, where there are several. */
  readonly outputs?: readonly string[] | undefined;
  /** Whether it was cut off at a limit, if the file says so. */
  readonly isCut?: boolean | undefined;
  /** Whether it began with reasoning, which is removed, since people who read answers do not see it. */
  readonly hadReasoning?: boolean | undefined;
}

/** One arm's answers, and the file they come from. */
export interface Answers {
  readonly path: string;
  readonly answers: readonly Answer[];
  /** Prompts in the file whose answer is null, or lacks turns. */
  readonly unanswered?: readonly TestPrompt[] | undefined;
}

const outputColumns = ["output", "answer", "response", "completion", "generated_text"];
const idColumns = ["id", "question_id", "idx", "uid"];

/** The prompts that a file of answers leaves out: by id, or in the same order. */
export interface Questions {
  /** The file or test set, for messages. */
  readonly name: string;
  readonly prompts: readonly TestPrompt[];
}

/**
 * Reads one arm's answers: rows with a prompt (as in test sets) and its answer, as `output`, `answer`, `response`,
 * `completion` or `generated_text`; with several turns, `turns` and `outputs`. Answers of MT-Bench and Arena-Hard (`choices`, `messages`) and predictions of
 * LLaMA-Factory (`predict`) need the questions. Rows with a null answer are `unanswered`. Reasoning before an answer
 * (`<think>…</think>`) is removed, since people who read answers do not see it.
 *
 * @throws DataError when the file cannot be read, a row has no prompt or no answer column, or a prompt occurs twice
 */
export async function readAnswers(path: string, questions?: Questions): Promise<Answers> {
  const found = new Map<string, Place>();
  const answers: Answer[] = [];
  const unanswered: TestPrompt[] = [];
  let rows = 0;
  for (const file of await findDatasetFiles(path)) {
    for await (const batch of (await openRecords(file)).batches()) {
      for (const record of batch) {
        const read = readAnswer(record, rows++, questions);
        if (!read) continue;
        const { prompt, answer, hasId } = read;
        const key = keyOf(prompt, hasId);
        if (!answer) {
          unanswered.push({ ...prompt, id: hasId ? prompt.id : key });
          continue;
        }
        if (found.has(key))
          throw dataErrorAt(
            record.place,
            hasId
              ? `expected each id once, got ${JSON.stringify(answer.id)} again`
              : "expected each prompt once, got one again; give the rows ids",
          );
        found.set(key, record.place);
        answers.push({ ...answer, id: hasId ? answer.id : key });
      }
    }
  }
  if (answers.length === 0) throw new DataError(`${path}: expected answers, got none`);
  return { path, answers, unanswered };
}

interface ReadAnswer {
  readonly prompt: TestPrompt;
  /** Undefined where there is none. */
  readonly answer?: Answer | undefined;
  readonly hasId: boolean;
}

function readAnswer(record: FileRecord, position: number, questions: Questions | undefined): ReadAnswer | undefined {
  const { value, place } = record;
  const row = (typeof value === "object" && value !== null ? value : {}) as Row; // a text has no answer
  const [choices, arena] = [readChoices(row), readArenaAnswer(row)];
  if (choices === null || arena === null)
    return questions && { prompt: findQuestion(row, position, place, questions), hasId: true };
  const foreign = choices ?? arena ?? readPrediction(row);
  if (foreign) {
    const prompt = findQuestion(row, position, place, questions);
    const turns = prompt.turns?.length ?? 1;
    if (foreign.length !== turns)
      throw dataErrorAt(
        place,
        `expected an answer to each of the ${turns} turns of question ${prompt.id} of ${questions!.name}, got ${foreign.length}; are these the questions that were asked?`,
      );
    return { prompt, answer: toAnswer(prompt, foreign, row), hasId: true };
  }
  const prompt = readPrompt(record, "prompts", position + 1);
  const hasId = idColumns.some((name) => row[name] !== undefined && row[name] !== null);
  if (prompt.turns) {
    const outputs = row["outputs"];
    if (!Array.isArray(outputs) || !outputs.every((output) => typeof output === "string"))
      throw dataErrorAt(
        place,
        `expected "outputs" to be a list with a text for each of the turns, got ${kindOf(outputs)}`,
      );
    if (outputs.length > prompt.turns.length)
      throw dataErrorAt(
        place,
        `expected at most an answer to each of the ${prompt.turns.length} turns, got ${outputs.length}`,
      );
    return { prompt, hasId, ...(outputs.length === prompt.turns.length && { answer: toAnswer(prompt, outputs, row) }) };
  }
  const column = outputColumns.find((name) => name in row);
  if (column === undefined)
    throw dataErrorAt(place, `expected an answer in one of the columns ${outputColumns.join(", ")}, got none`);
  const output = row[column];
  if (output === null) return { prompt, hasId };
  if (typeof output !== "string")
    throw dataErrorAt(place, `expected ${JSON.stringify(column)} to be a text, got ${typeof output}`);
  return { prompt, answer: toAnswer(prompt, [output], row), hasId };
}

/** An answer without its reasoning. */
function toAnswer(prompt: TestPrompt, written: readonly string[], row: Row): Answer {
  const read = written.map((text) => {
    const shown = withoutThinking(text).trimStart(); // empty if the reasoning never ends
    return {
      text: shown.length < text.trimStart().length ? shown : text,
      hadReasoning: shown.length < text.trimStart().length,
    };
  });
  const outputs = read.map(({ text }) => text);
  return {
    ...prompt,
    output: outputs.at(-1)!,
    ...(prompt.turns && { outputs }),
    ...(row["state"] === "cut" && { isCut: true }),
    ...(read.some(({ hadReasoning }) => hadReasoning) && { hadReasoning: true }),
  };
}

/** The first choice of an answer of MT-Bench (`turns` of texts) or Arena-Hard (of objects with `content`). Null where a turn has none. */
function readChoices(row: Row): string[] | null | undefined {
  const [choice] = Array.isArray(row["choices"]) ? (row["choices"] as unknown[]) : [];
  const turns = typeof choice === "object" && choice !== null ? (choice as Row)["turns"] : undefined; // an object read from a file
  if (!Array.isArray(turns)) return undefined;
  const texts = turns.map((turn: unknown) => {
    const content = typeof turn === "object" && turn !== null ? (turn as Row)["content"] : turn; // likewise
    return typeof content === "object" && content !== null ? (content as Row)["answer"] : content;
  });
  if (texts.includes(null)) return null;
  return texts.every((text) => typeof text === "string") ? texts : undefined;
}

/** An answer of Arena-Hard 2: a chat whose last message holds `answer`. Null where that is null: there is no answer. */
function readArenaAnswer(row: Row): string[] | null | undefined {
  const messages = row["messages"];
  const last: unknown = Array.isArray(messages) ? messages.at(-1) : undefined;
  const content = typeof last === "object" && last !== null ? (last as Row)["content"] : undefined; // an object read from a file
  const answer = typeof content === "object" && content !== null ? (content as Row)["answer"] : undefined; // likewise
  return answer === null ? null : typeof answer === "string" ? [answer] : undefined;
}

/** A prediction of LLaMA-Factory, whose prompt is in the model's own template. */
function readPrediction(row: Row): string[] | undefined {
  const { predict } = row;
  return typeof predict === "string" ? [predict] : undefined;
}

/** The question of an answer that does not hold it. */
function findQuestion(row: Row, position: number, place: Place, questions: Questions | undefined): TestPrompt {
  if (!questions)
    throw dataErrorAt(
      place,
      `expected a prompt beside the answer, got ${Object.keys(row).join(", ")}; give the file or the test set with the questions: --questions mt-bench`,
    );
  const id = idColumns.map((name) => row[name]).find((label) => typeof label === "string" || typeof label === "number");
  const question =
    id === undefined ? questions.prompts[position] : questions.prompts.find((prompt) => prompt.id === String(id));
  if (!question)
    throw dataErrorAt(
      place,
      `expected ${id === undefined ? `row ${position + 1}` : `the id ${JSON.stringify(String(id))}`} among the questions of ${questions.name} (${questions.prompts.length}), got none; name their file with --questions`,
    );
  const said = row["prompt"];
  const asked = question.turns?.at(-1) ?? question.instruction;
  if (id === undefined && typeof said === "string" && !said.includes(asked.trim()))
    throw dataErrorAt(
      place,
      `expected the prompt of question ${position + 1} of ${questions.name} (${shorten(asked)}), got another; the questions must be in the same order`,
    );
  return question;
}

/** The key of a prompt: its set and id, or its text if it has no id. */
function keyOf({ set, id, instruction, input }: TestPrompt, hasId: boolean): string {
  return hasId ? `${set}\0${id}` : `${instruction}\0${input}`;
}

/** The beginning of a prompt, for messages. */
export function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
