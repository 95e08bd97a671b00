import { tryParse } from "../files/try-parse.ts";
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { DataError, kindOf } from "../errors.ts";
import type { Row } from "../dataset/example.ts";
import { findDatasetFiles } from "../dataset/source.ts";
import { outcomeOfOrders, type PairVerdict, type Side, type Verdict } from "./verdict.ts";

/*
 * Reads published judgements (reviews), so that they can be analysed again.
 */

export interface Reviews {
  /** The names of the two arms. */
  readonly arms: readonly [a: string, b: string];
  /** The name of the judge, if the files have it. */
  readonly judge: string | undefined;
  readonly verdicts: readonly PairVerdict[];
}

export interface ReadReviewsOptions {
  /** The arms to compare, A first. Needed if the files hold more than two arms, or to choose which one is A. */
  readonly arms?: readonly [a: string, b: string] | undefined;
}

/** One pair in one order, as a file has it. */
interface Review {
  readonly set: string;
  readonly id: string;
  /** The key of the prompt, if several ids share one, such as the turns of a conversation. */
  readonly prompt?: string | undefined;
  readonly category?: string | undefined;
  /** The text of the prompt. */
  readonly instruction?: string | undefined;
  readonly answers?: Readonly<Record<string, string>> | undefined;
  readonly judge?: string | undefined;
  /** The judge's reply, word for word. */
  readonly reply?: string | undefined;
  /** The arms in the order in which they were shown, if that is known. `said` refers to them in this order. */
  readonly arms: readonly [string, string];
  readonly isOrderKnown: boolean;
  readonly said: Said;
}

type Said =
  | {
      readonly state: "judged";
      readonly winner: 0 | 1 | undefined;
      readonly scores?: readonly [number, number] | undefined;
      /** How strongly the judge prefers the first arm, 0 to 1, from judges with graded preferences. */
      readonly graded?: number | undefined;
    }
  | { readonly state: "unparsable" | "failed"; readonly detail: string };

/**
 * Reads published pairwise judgements in these formats, in any mixture:
 *
 * - AlpaGasus and AlpaGasus2: `ARM1-ARM2-SET.json`, rows with both arms' answers under their names, `review` and `score`,
 *   one file for each order; ARM1 was shown first;
 * - Cherry: `ARM1-VS-ARM2_SET_JUDGE.json` with `data`, both orders in each row (`scores`, `scores_reverse`);
 * - FastChat's `model_judgment/*_pair.jsonl`: `model_1`, `model_2`, `g1_winner`, `g2_winner`;
 * - AlpacaEval's `annotations.json`: `generator_1`, `generator_2`, `preference`; one order, which is not recorded.
 *
 * @throws DataError when a row has none of these formats or occurs twice, or the files hold other arms
 */
export async function readReviews(paths: readonly string[], { arms }: ReadReviewsOptions = {}): Promise<Reviews> {
  const reviews: Review[] = [];
  for (const path of paths) {
    for (const file of await findDatasetFiles(path)) {
      for (const [ordinal, value] of (await readValues(file.path)).entries())
        reviews.push(...readReview(value, { path: file.path, ordinal }));
    }
  }
  if (reviews.length === 0) throw new DataError(`${paths.join(", ")}: expected reviews, got none`);
  const [a, b] = arms ?? findArms(reviews, paths);
  const chosen = reviews.filter(({ arms: both }) => both.includes(a) && both.includes(b) && a !== b);
  if (chosen.length === 0)
    throw new DataError(
      `${paths.join(", ")}: expected reviews of ${a} against ${b}, got ${[...new Set(reviews.flatMap((review) => review.arms))].join(", ")}`,
    );
  const judges = new Set(chosen.flatMap(({ judge }) => judge ?? []));
  return {
    arms: [a, b],
    judge: judges.size > 0 ? [...judges].join(", ") : undefined,
    verdicts: pairUp(chosen, a, paths),
  };
}

/** A is the arm shown first in the first review. */
function findArms(reviews: readonly Review[], paths: readonly string[]): readonly [string, string] {
  const names = [...new Set(reviews.flatMap(({ arms }) => arms))];
  if (names.length !== 2)
    throw new DataError(
      `${paths.join(", ")}: expected reviews of two arms, got ${names.join(", ")}; choose two with --arms A,B`,
    );
  return reviews[0]!.arms;
}

function pairUp(reviews: readonly Review[], a: string, paths: readonly string[]): PairVerdict[] {
  const pairs = new Map<string, Review[]>();
  const seen = new Map<string, Review>();
  for (const review of reviews) {
    const content = contentOf(review);
    const before = content === undefined ? undefined : seen.get(content);
    if (before && (before.set !== review.set || before.id !== review.id))
      throw new DataError(
        `${paths.join(", ")}: expected each annotation once, got that of ${before.set} ${before.id} again as ${review.set} ${review.id}; name each file once, and leave out repeated rows`,
      );
    if (content !== undefined) seen.set(content, review);
    const name = `${review.set}\0${review.id}`;
    const others = pairs.get(name) ?? [];
    if (others.some(({ arms, isOrderKnown }) => !isOrderKnown || arms[0] === review.arms[0]))
      throw new DataError(
        `${paths.join(", ")}: expected each order of a prompt once, got ${review.set} ${review.id} with ${review.arms[0]} first again`,
      );
    pairs.set(name, [...others, review]);
  }
  const hasBothOrders = [...pairs.values()].some((both) => both.length === 2);
  return [...pairs.values()].map((both) => {
    const { set, id, prompt, category, instruction, answers, arms, isOrderKnown } = both[0]!;
    const b = arms.find((arm) => arm !== a)!;
    const orders = both.map((review) => toVerdict(review, a)).toSorted(byShownFirst);
    if (hasBothOrders && both.length === 1 && isOrderKnown)
      orders.push({
        shownFirst: orders[0]!.shownFirst === "A" ? "B" : "A",
        state: "failed",
        detail: "there is no review in this order",
      });
    const [answerA, answerB] = [answers?.[a], answers?.[b]];
    return {
      id,
      set,
      prompt,
      category,
      outcome: outcomeOfOrders(orders),
      orders,
      ...gradedFor(both, a),
      ...(instruction !== undefined && { instruction }),
      ...(answerA !== undefined &&
        answerB !== undefined && {
          lengths: [answerA.length, answerB.length] as const,
          answers: [answerA, answerB] as const,
        }),
    };
  });
}

/** The key of what was judged, by which judge and in which order; undefined if the review lacks the texts. */
function contentOf({ instruction, answers, arms, judge, isOrderKnown }: Review): string | undefined {
  return instruction === undefined || !answers
    ? undefined
    : JSON.stringify([instruction, arms.map((arm) => answers[arm]), arms, judge ?? "", isOrderKnown]);
}

/** The mean preference for A, over the orders that have one. */
function gradedFor(reviews: readonly Review[], a: string): Pick<PairVerdict, "preference"> {
  const graded = reviews.flatMap(({ said, arms }) =>
    said.state === "judged" && said.graded !== undefined ? [arms[0] === a ? said.graded : 1 - said.graded] : [],
  );
  return graded.length > 0 ? { preference: graded.reduce((sum, one) => sum + one, 0) / graded.length } : {};
}

function byShownFirst(one: Verdict, other: Verdict): number {
  return Number(one.shownFirst === "B") - Number(other.shownFirst === "B");
}

/** Turns a review of two arms in the order they were shown into a verdict about A and B. */
function toVerdict({ arms, isOrderKnown, said, reply }: Review, a: string): Verdict {
  const first: Side = arms[0] === a ? "A" : "B";
  const seen = { ...(isOrderKnown && { shownFirst: first }), reply };
  if (said.state !== "judged") return { ...seen, state: said.state, detail: said.detail };
  const second: Side = first === "A" ? "B" : "A";
  const { winner, scores } = said;
  return {
    ...seen,
    state: "judged",
    winner: winner === undefined ? "draw" : winner === 0 ? first : second,
    ...(scores && { scores: first === "A" ? { A: scores[0], B: scores[1] } : { A: scores[1], B: scores[0] } }),
  };
}

// --- the formats ---

/** The position of a review: its file, and its row from 0. */
interface ReviewPlace {
  readonly path: string;
  readonly ordinal: number;
}

/** The rows of a JSON array, of the field `data` of a JSON object, or of JSON Lines. */
async function readValues(path: string): Promise<unknown[]> {
  const text = await readFile(path, "utf8");
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

function readReview(value: unknown, place: ReviewPlace): Review[] {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return fail(place, `expected a review, got ${kindOf(value)}`);
  const row = value as Row; // an object read from a file
  if ("g1_winner" in row) return readFastChat(row, place);
  if ("preference" in row && "generator_1" in row) return [readAlpacaEval(row, place)];
  if ("scores_reverse" in row || "review_reverse" in row) return readCherry(row, place);
  if ("score" in row && "review" in row) return [readAlpaGasus(row, place)];
  return fail(
    place,
    `expected a review of AlpaGasus (review, score), Cherry (scores, scores_reverse), FastChat (g1_winner, g2_winner) or AlpacaEval (preference), got ${Object.keys(row).join(", ")}`,
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
      "expected the file's name to tell who was shown first, as in ARM1-ARM2-SET.json with both arms' answers under these names",
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
  const recorded = row["preference"] === null ? NaN : Number(row["preference"]);
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
    said: isReadable
      ? { state: "judged", winner: preference === 1.5 ? undefined : preference < 1.5 ? 0 : 1, graded: 2 - preference }
      : { state: "unparsable", detail: `recorded as ${String(row["preference"])}` },
  };
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
): Pick<Review, "set" | "id" | "category" | "instruction"> {
  const id = ["question_id", "id", "idx"]
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
