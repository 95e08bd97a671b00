import type { ExampleFields } from "../dataset/example.ts";
import type { TestPrompt } from "../dataset/prompts.ts";
import type { ReasonDetail } from "./decision.ts";
import { hashWord, wordsOf } from "./words.ts";

const longestRun = 13; // words: the length that GPT-3's authors used (Brown et al. 2020, appendix C)
const shortestRun = 5; // words; a shorter prompt ("Tell me a joke") must be the row's whole prompt

/**
 * Creates a function that finds rows that overlap test prompts. A row overlaps when its prompt or output contains 13
 * consecutive words of a test prompt (the whole test prompt, if it has 5 to 12 words), or when its prompt equals a shorter
 * test prompt. Case and punctuation are ignored.
 */
export function contaminationFinder(
  prompts: readonly TestPrompt[],
): (example: ExampleFields) => ReasonDetail | undefined {
  const runs = new Map<number, Map<number, { prompt: TestPrompt; words: string }>>();
  const whole = new Map<string, TestPrompt>();
  for (const prompt of prompts) {
    const words = wordsOf(`${prompt.instruction} ${prompt.input}`);
    if (words.length < shortestRun) {
      if (words.length > 0) whole.set(words.join(" "), prompt);
      continue;
    }
    const length = Math.min(words.length, longestRun);
    const known = runs.get(length) ?? new Map<number, { prompt: TestPrompt; words: string }>();
    runs.set(length, known);
    forEachRun(
      words.map(hashWord),
      length,
      (hash, start) => void known.set(hash, { prompt, words: words.slice(start, start + length).join(" ") }),
    );
  }

  return ({ instruction, input, output }) => {
    const promptWords = wordsOf(`${instruction} ${input}`);
    const prompt = whole.get(promptWords.join(" "));
    if (prompt) return overlapWith(prompt, promptWords.join(" "));
    return findRun(promptWords) ?? findRun(wordsOf(output));
  };

  function findRun(words: readonly string[]): ReasonDetail | undefined {
    const hashes = words.map(hashWord);
    for (const [length, known] of runs) {
      let found: ReasonDetail | undefined;
      forEachRun(hashes, length, (hash, start) => {
        const candidate = found ? undefined : known.get(hash);
        if (candidate && candidate.words === words.slice(start, start + length).join(" "))
          found = overlapWith(candidate.prompt, candidate.words);
      });
      if (found) return found;
    }
    return undefined;
  }
}

function overlapWith({ set, id }: TestPrompt, words: string): ReasonDetail {
  return { test: set, prompt: id, words };
}

/** Calls `found` with a rolling hash of each run of `length` words (Rabin and Karp). */
function forEachRun(hashes: readonly number[], length: number, found: (hash: number, start: number) => void): void {
  const base = 0x01000193;
  let power = 1;
  for (let i = 0; i < length; i++) power = Math.imul(power, base);
  let hash = 0;
  for (let i = 0; i < hashes.length; i++) {
    hash = (Math.imul(hash, base) + hashes[i]!) | 0;
    if (i >= length) hash = (hash - Math.imul(hashes[i - length]!, power)) | 0;
    if (i >= length - 1) found(hash, i - length + 1);
  }
}
