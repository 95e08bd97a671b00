import { join } from "node:path";
import * as z from "zod";
import { openDuckDb } from "../dataset/duckdb.ts";
import type { Example } from "../dataset/example.ts";
import { messageOf } from "../errors.ts";
import { formatCount } from "../format.ts";
import { startRowProcess } from "../python/row-process.ts";
import { pythonFolder } from "../python/uv.ts";
import type { Rating } from "../run/rating.ts";
import type { Verifier } from "../run/judge-kind.ts";
import { mapInBlocks } from "../in-blocks.ts";
import type { Judge } from "./judge.ts";

/** Whether an answer is right, or why that cannot be told. */
type Checked = { readonly isRight: boolean } | { readonly problem: string };

interface Pair {
  readonly answer: string;
  readonly reference: string;
}

interface Checker extends AsyncDisposable {
  check(pairs: readonly Pair[]): Promise<readonly Checked[]>;
}

/**
 * A judge that compares answers with references (the column `reference` or `reference_answer`, or the one that `--map reference=` names):
 * 1 for right, 0 for wrong, no score where it cannot be told.
 *
 * - `exact`: both are the same text, whatever their case and white space (Unicode NFKC, except for superscripts, subscripts and fractions).
 * - `regex`: the answer has a part that matches the reference, a pattern in the syntax of RE2, which takes linear time.
 * - `math`: both are equal as mathematics, by Hugging Face's math-verify: the last expression of the answer (`\\boxed{}`, LaTeX, or plain
 *   numbers) against the reference's.
 */
export function createVerifier(
  verifier: Verifier,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Judge {
  const counts = { right: 0, wrong: 0, unchecked: 0 };
  let phase: string | undefined;
  let done = 0;
  return {
    name: `verify:${verifier}`,
    scale: { min: 0, max: 1 },
    ...(verifier === "math" && { work: () => ({ done, phase }) }),
    get notes() {
      const told = [`${formatCount(counts.right)} right`, `${formatCount(counts.wrong)} wrong`];
      if (counts.unchecked > 0) told.push(`${formatCount(counts.unchecked)} cannot be checked`);
      return [`${meaning[verifier]}: ${told.join(", ")}`];
    },
    async *rate(examples) {
      counts.right = counts.wrong = counts.unchecked = done = 0;
      await using checker = await open[verifier](signal, (doing) => void (phase = doing));
      yield* mapInBlocks(examples, async (block) => {
        const known = block.map((example) => ratingOf(example));
        const asked = block.flatMap(({ output, reference }, i) =>
          known[i] || reference === undefined ? [] : [{ answer: output, reference }],
        );
        const checked = await checker.check(asked);
        phase = undefined;
        done += block.length;
        let next = 0;
        const ratings = known.map((rating) => rating ?? toRating(checked[next++]!));
        for (const rating of ratings) {
          if (rating.state === "scored") counts[rating.score === 1 ? "right" : "wrong"]++;
          else if (rating.state !== "pending") counts.unchecked++;
        }
        return ratings;
      });
    },
  };
}

const meaning: Record<Verifier, string> = {
  exact: "1 where the answer is the reference (whatever the case and white space), 0 where it is not",
  regex: "1 where the answer matches the reference, a pattern, 0 where it does not",
  math: "1 where answer and reference are equal as mathematics (math-verify), 0 where they are not",
};

function toRating(checked: Checked): Rating {
  return "isRight" in checked
    ? { state: "scored", score: checked.isRight ? 1 : 0 }
    : { state: "refused", detail: `cannot be checked: ${checked.problem}` };
}

/** What is known of a row without comparing. An empty answer is wrong. */
function ratingOf({ unreadable, output, reference }: Example): Rating | undefined {
  if (unreadable !== undefined) return { state: "pending" }; // its state is told elsewhere
  if (reference === undefined || reference.trim() === "")
    return { state: "refused", detail: "cannot be checked: the row has no reference" };
  return output.trim() === "" ? { state: "scored", score: 0 } : undefined;
}

const open: Record<Verifier, (signal: AbortSignal | undefined, onPhase: (phase: string) => void) => Promise<Checker>> =
  {
    exact: () => Promise.resolve({ check: (pairs) => Promise.resolve(pairs.map(checkExact)), ...nothingToClose }),
    regex: openRegex,
    math: openMath,
  };

const nothingToClose = { [Symbol.asyncDispose]: () => Promise.resolve() };

function checkExact({ answer, reference }: Pair): Checked {
  // not what stands above or below a line, or in a fraction: NFKC makes 102 of 10²
  const compatible = (text: string) => text.replace(/[^²³¹¼-¾⁰-ₜ⅐-⅟]+/g, (part) => part.normalize("NFKC"));
  const plain = (text: string) => compatible(text).replace(/\s+/g, " ").trim().toLowerCase();
  return { isRight: plain(answer) === plain(reference) };
}

/** Matches with DuckDB's RE2: a pattern of the data cannot take exponential time. */
async function openRegex(): Promise<Checker> {
  const database = await openDuckDb();
  const matches = await database.connection.prepare("select regexp_matches($1, $2)");
  let last: Promise<unknown> = Promise.resolve(); // blocks share the statement, so that one waits for the other
  const inTurn = <Value>(work: () => Promise<Value>): Promise<Value> => {
    const done = last.then(work);
    last = done.catch(() => {}); // whoever asked is told
    return done;
  };
  return {
    check: (pairs) =>
      inTurn(async () => {
        const checked: Checked[] = [];
        for (const { answer, reference } of pairs) {
          try {
            matches.bindVarchar(1, answer);
            matches.bindVarchar(2, reference);
            const reader = await matches.runAndReadAll();
            checked.push({ isRight: reader.getRows()[0]![0] === true });
          } catch (error) {
            checked.push({ problem: `its reference is no pattern: ${messageOf(error).split("\n")[0]!.slice(0, 200)}` });
          }
        }
        return checked;
      }),
    async [Symbol.asyncDispose]() {
      await last;
      matches.destroySync();
      await database[Symbol.asyncDispose]();
    },
  };
}

const mathResult = z
  .object({ right: z.boolean().optional(), problem: z.string().optional() })
  .transform(({ right, problem }): Checked =>
    right === undefined ? { problem: problem ?? "math-verify does not say why" } : { isRight: right },
  );

/** Compares with math-verify, in Python. */
async function openMath(signal: AbortSignal | undefined, onPhase: (phase: string) => void): Promise<Checker> {
  const verifying = startRowProcess<Pair, Checked>({
    script: "verify.py",
    args: [],
    parts: { requirements: join(pythonFolder, "requirements-verify.txt") },
    doing: "verifying with math-verify",
    afterFailure: "nothing was rated; the same command begins again",
    result: mathResult,
    log: join(".alpagasus", "verify.log"),
    onPhase,
  });
  const stop = () => void verifying.stop();
  signal?.addEventListener("abort", stop);
  return {
    async check(pairs) {
      signal?.throwIfAborted();
      const checked: Checked[] = [];
      try {
        await verifying.measure(pairs, (results) => {
          for (const { at, result } of results) checked[at] = result;
        });
      } catch (error) {
        signal?.throwIfAborted();
        throw error;
      }
      return checked;
    },
    async [Symbol.asyncDispose]() {
      signal?.removeEventListener("abort", stop);
      await verifying.stop();
    },
  };
}
