import { readWhole } from "../files/read-file.ts";
import { basename } from "node:path";
import type { Row } from "../dataset/example.ts";
import { readDifficulty } from "../dataset/prompts.ts";
import { DataError, kindOf } from "../errors.ts";
import { tryParse } from "../files/try-parse.ts";
import { readGrade } from "../rubric/grade.ts";
import type { Verdict } from "./verdict.ts";

/** One pair in one order, as a file has it. */
export interface Review {
  readonly set: string;
  readonly id: string;
  /** The key of the prompt, if several ids share one, such as the turns of a conversation. */
  readonly prompt?: string | undefined;
  readonly category?: string | undefined;
  readonly difficulty?: number | undefined;
  /** The text of the prompt. */
  readonly instruction?: string | undefined;
  readonly answers?: Readonly<Record<string, string>> | undefined;
  readonly judge?: string | undefined;
  /** The judge's reply, word for word. */
  readonly reply?: string | undefined;
  /** The arms in the order in which they were shown, if that is known. `said` refers to them in this order. */
  readonly arms: readonly [string, string];
  readonly isOrderKnown: boolean;
  /** The arm that its file is about, where its format has a model and a reference. */
  readonly model?: string | undefined;
  readonly said: Said;
}

type Said =
  | {
      readonly state: "judged";
      readonly winner: 0 | 1 | undefined;
      readonly scores?: readonly [number, number] | undefined;
      /** How strongly the judge prefers the first arm, 0 to 1, from judges with graded preferences. */
      readonly graded?: number | undefined;
      /** How many verdicts it counts as in the graded win rate. Default 1. */
      readonly weight?: number | undefined;
    }
  | { readonly state: "unparsable" | "failed"; readonly detail: string };

export function byShownFirst(one: Verdict, other: Verdict): number {
  return Number(one.shownFirst === "B") - Number(other.shownFirst === "B");
}

/** The position of a review: its file, and its row from 0. */
interface ReviewPlace {
  readonly path: string;
  readonly ordinal: number;
}

/** The rows of a JSON array, of the field `data` of a JSON object, or of JSON Lines. */
export async function readValues(path: string): Promise<unknown[]> {
  const text = await readWhole(path, "utf8");
  const whole = tryParse(text);
  if (Array.isArray(whole)) return whole;
  if (typeof whole === "object" && whole !== null && "data" in whole && Array.isArray(whole.data)) return whole.data;
  if (whole !== undefined) return [whole];
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.map(
    (line, ordinal) => tryParse(line) ?? fail({ path, ordinal }, "expected JSON, or JSON Lines, got something else"),
  );
}

function fail({ path, ordinal }: ReviewPlace, problem: string): never {
  throw new DataError(`${path} (row ${ordinal + 1}): ${problem}`);
}

export function readReview(value: unknown, place: ReviewPlace): Review[] {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return fail(place, `expected a review, got ${kindOf(value)}`);
  const row = value as Row; // an object read from a file
  if ("g1_winner" in row) return readFastChat(row, place);
  if ("preference" in row && "generator_1" in row) return [readAlpacaEval(row, place)];
  if (Array.isArray(row["games"]) && "model" in row) return readArenaHard(row, row["games"], place);
  if ("scores_reverse" in row || "review_reverse" in row) return readCherry(row, place);
  if ("score" in row && "review" in row) return [readAlpaGasus(row, place)];
  return fail(
    place,
    `expected a review of AlpaGasus (review, score), Cherry (scores, scores_reverse), FastChat (g1_winner, g2_winner), AlpacaEval (preference) or Arena-Hard (games), got ${Object.keys(row).join(", ")}`,
  );
}

function readAlpaGasus(row: Row, place: ReviewPlace): Review {
  const name = nameOf(place);
  const keys = Object.keys(row).filter((key) => typeof row[key] === "string");
  const first = longest(keys.filter((key) => name.startsWith(`${key}-`)));
  const second = first && longest(keys.filter((key) => name.slice(first.length + 1).startsWith(`${key}-`)));
  if (!first || !second)
    return fail(
      place,
      "expected a file name that shows which arm was shown first, such as ARM1-ARM2-SET.json, and both arms' answers under these names",
    );
  return {
    ...identify(row, name.slice(first.length + second.length + 2), place),
    ...replyOf(row["review"]),
    answers: { [first]: String(row[first]), [second]: String(row[second]) },
    arms: [first, second],
    isOrderKnown: true,
    said: readScores(row["score"]),
  };
}

const cherrySets = ["koala", "vicuna", "wizardlm", "sinstruct", "lima"];

function readCherry(row: Row, place: ReviewPlace): Review[] {
  const name = nameOf(place);
  const [, one = "Answer1", rest = ""] = /^(.+)-VS-(.+)$/.exec(name) ?? [];
  const found =
    new RegExp(`^(.+)_(${cherrySets.join("|")})(?:_([^_]+))?$`).exec(rest) ??
    /^([^_]+)_([^_]+)(?:_([^_]+))?$/.exec(rest);
  if (rest !== "" && !found)
    return fail(
      place,
      `expected a file's name of the form ARM-VS-ARM_SET_JUDGE.json with a set of ${cherrySets.join(", ")}`,
    );
  const [, other = "Answer2", set = name, judge] = found ?? [];
  const [answer1, answer2] = [row["Answer1"], row["Answer2"]];
  const common = {
    ...identify(row, set, place),
    ...(typeof answer1 === "string" &&
      typeof answer2 === "string" && { answers: { [one]: answer1, [other]: answer2 } }),
    ...(judge !== undefined && { judge }),
    isOrderKnown: true,
  };
  return [
    { ...common, arms: [one, other], said: readScores(row["scores"]), ...replyOf(row["review"]) },
    { ...common, arms: [other, one], said: readScores(row["scores_reverse"]), ...replyOf(row["review_reverse"]) },
  ];
}

function readFastChat(row: Row, place: ReviewPlace): Review[] {
  const [one, other] = [String(row["model_1"]), String(row["model_2"])];
  const [judge] = Array.isArray(row["judge"]) ? (row["judge"] as unknown[]) : [row["judge"]];
  const turn = row["turn"] === undefined ? "" : ` turn ${String(Number(row["turn"]))}`;
  const common = {
    set: nameOf(place),
    id: `${String(row["question_id"])}${turn}`,
    prompt: String(row["question_id"]),
    ...(typeof judge === "string" && { judge }),
    isOrderKnown: true,
  };
  const read = (winner: unknown, arms: readonly [string, string]): Said => {
    if (winner === "tie") return { state: "judged", winner: undefined };
    if (winner !== "model_1" && winner !== "model_2")
      return { state: "unparsable", detail: `recorded as ${String(winner)}` };
    const won = winner === "model_1" ? one : other;
    return { state: "judged", winner: won === arms[0] ? 0 : 1 };
  };
  const reviews: Review[] = [
    { ...common, arms: [one, other], said: read(row["g1_winner"], [one, other]), ...replyOf(row["g1_judgment"]) },
  ];
  if ("g2_winner" in row)
    reviews.push({
      ...common,
      arms: [other, one],
      said: read(row["g2_winner"], [other, one]),
      ...replyOf(row["g2_judgment"]),
    });
  return reviews;
}

function readAlpacaEval(row: Row, place: ReviewPlace): Review {
  const [one, other] = [String(row["generator_1"]), String(row["generator_2"])];
  const said = row["preference"];
  const isNumeric = typeof said === "number" || (typeof said === "string" && said.trim() !== "");
  const recorded = isNumeric ? Number(said) : NaN;
  const preference = recorded === 0 ? 1.5 : recorded; // its first version wrote 0 for a draw
  const isReadable = preference >= 1 && preference <= 2; // 1: the first is better, 2: the second; between them: less sure
  const [output1, output2] = [row["output_1"], row["output_2"]];
  return {
    ...identify(row, typeof row["dataset"] === "string" ? row["dataset"] : nameOf(place), place),
    ...(typeof output1 === "string" &&
      typeof output2 === "string" && { answers: { [one]: output1, [other]: output2 } }),
    ...(typeof row["annotator"] === "string" && { judge: row["annotator"] }),
    arms: [one, other],
    isOrderKnown: false,
    model: other, // AlpacaEval's reference is its first output
    said: isReadable
      ? { state: "judged", winner: preference === 1.5 ? undefined : preference < 1.5 ? 0 : 1, graded: 2 - preference }
      : { state: "unparsable", detail: `recorded as ${String(row["preference"])}` },
  };
}

/** The weight of a clear preference in Arena-Hard's leaderboard. */
const arenaHardWeight = 3;

/** Two games: the baseline is assistant A in the first, the model in the second. Each game's score is the judge's grade. */
function readArenaHard(row: Row, games: readonly unknown[], place: ReviewPlace): Review[] {
  const model = String(row["model"]);
  const baseline = typeof row["baseline"] === "string" ? row["baseline"] : "baseline"; // v0.1 does not name it
  const common = {
    ...identify(row, "arena-hard", place),
    ...(typeof row["judge"] === "string" && { judge: row["judge"] }),
    isOrderKnown: true,
  };
  return [0, 1].map((ordinal) => {
    const game = games[ordinal];
    const { score, judgment } = (typeof game === "object" && game !== null ? game : {}) as Row; // an object read from a file
    const answer = typeof judgment === "object" && judgment !== null ? (judgment as Row)["answer"] : judgment; // likewise
    return {
      ...common,
      arms: ordinal === 0 ? [baseline, model] : [model, baseline],
      model,
      said: readScoredGrade(score),
      ...replyOf(answer),
    };
  });
}

function readScoredGrade(score: unknown): Said {
  const grade = typeof score === "string" ? readGrade(score) : undefined;
  if (!grade) return { state: "unparsable", detail: `recorded as ${JSON.stringify(score ?? null)}` };
  const { preference, graded, isClear } = grade;
  const winner = preference === "draw" ? undefined : preference === "first" ? 0 : 1;
  return { state: "judged", winner, graded, weight: isClear ? arenaHardWeight : 1 };
}

function nameOf({ path }: ReviewPlace): string {
  return basename(path).replace(/\.jsonl?$/, "");
}

function replyOf(text: unknown): Pick<Review, "reply"> {
  return typeof text === "string" ? { reply: text } : {};
}

function identify(
  row: Row,
  set: string,
  { ordinal }: ReviewPlace,
): Pick<Review, "set" | "id" | "category" | "difficulty" | "instruction"> {
  const id = ["question_id", "id", "idx", "uid"]
    .map((key) => row[key])
    .find((found): found is string | number => typeof found === "string" || typeof found === "number");
  const category = ["category", "Skill"].map((key) => row[key]).find((found) => typeof found === "string");
  const instruction = ["prompt", "instruction", "question", "text"]
    .map((key) => row[key])
    .find((found) => typeof found === "string");
  return {
    set,
    id: id === undefined ? String(ordinal + 1) : String(id),
    category,
    ...readDifficulty(row),
    instruction,
  };
}

/** `[8, 7]`, or the same as text; -1 is what the scripts write for a reply they could not read. */
function readScores(recorded: unknown): Said {
  const list: unknown = typeof recorded === "string" ? tryParse(recorded) : recorded;
  if (!Array.isArray(list) || list.length !== 2 || !list.every((score) => typeof score === "number" && score >= 0))
    return { state: "unparsable", detail: `recorded as ${JSON.stringify(recorded)}` };
  const [one, other] = list as [number, number]; // as was just checked
  return { state: "judged", winner: one === other ? undefined : one > other ? 0 : 1, scores: [one, other] };
}

function longest(names: readonly string[]): string | undefined {
  return names.toSorted((a, b) => b.length - a.length)[0];
}
