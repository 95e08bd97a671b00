import type { ExampleFields } from "../dataset/example.ts";
import type { Random } from "../stats/random.ts";

/*
 * Rows whose answer does not fit, made from rated rows: the answer of another row, a cut or repeated one, a refusal. A
 * student learns from them what ratings alone do not teach, since published datasets have few such rows.
 */

const kept = 512; // answers of other rows to draw from
const candidates = 16; // the one that shares most words with the prompt is the hardest to tell from a true one
const shortest = 40; // characters; a shorter answer is exchanged instead of cut
const kinds = { exchanged: 0.45, neighbours: 0.7, truncated: 0.82, repeated: 0.95 }; // the rest are refusals

const refusals = [
  "I'm sorry, but I can't help with that.",
  "As an AI language model, I am unable to answer this question.",
  "Sorry, I do not have enough information to complete this task.",
  "I cannot assist with this request. Please try something else.",
  "Unfortunately, I am not able to do this.",
];

/** Creates a function that returns a row with an answer that does not fit. Other rows' answers come from the rows it was given before. */
export function createCorrupter(random: Random): (example: ExampleFields) => ExampleFields {
  const others: { output: string; words: Set<string> }[] = [];
  let seen = 0;
  const draw = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;

  const neighbour = (own: Set<string>, output: string) => {
    let best = draw(others);
    let most = -1;
    for (let i = 0; i < candidates; i++) {
      const other = draw(others);
      if (other.output === output) continue;
      let shared = 0;
      for (const word of own) if (other.words.has(word)) shared++;
      if (shared > most) {
        most = shared;
        best = other;
      }
    }
    return best.output;
  };

  const spoil = (kind: number, output: string, own: Set<string>): string => {
    if (kind >= kinds.repeated || others.length === 0) return draw(refusals);
    if (kind >= kinds.neighbours && output.length >= shortest)
      return kind < kinds.truncated ? truncate(output, random) : repeat(output, random);
    return kind >= kinds.exchanged && kind < kinds.neighbours ? neighbour(own, output) : draw(others).output;
  };

  return ({ instruction, input, output }) => {
    const own = contentWords(`${instruction} ${input}`);
    const spoilt = spoil(random(), output, own);
    others[seen < kept ? seen : Math.floor(random() * kept)] = { output, words: own };
    seen++;
    return { instruction, input, output: spoilt === output ? draw(refusals) : spoilt };
  };
}

/** The distinct words of at least four letters, in lower case. */
function contentWords(text: string): Set<string> {
  return new Set(
    text
      .slice(0, 2000)
      .toLowerCase()
      .match(/\p{L}{4,}/gu),
  );
}

/** The beginning of a text: a fifth to four fifths, at least one character less than all of it. */
function truncate(text: string, random: Random): string {
  return text.slice(0, Math.floor(text.length * (0.2 + 0.6 * random())));
}

/** A text that comes several times, or whose middle or end does. */
function repeat(text: string, random: Random): string {
  const times = 2 + Math.floor(random() * 4);
  if (random() < 0.5)
    return Array<string>(times)
      .fill(text)
      .join(random() < 0.5 ? "\n" : " ");
  const length = Math.max(8, Math.floor(text.length * (0.1 + 0.5 * random())));
  const start = Math.floor(random() * Math.max(1, text.length - length));
  const again = text.slice(start, start + length);
  return text.slice(0, start) + ` ${again}`.repeat(1 + times);
}
