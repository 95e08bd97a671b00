import { afterEach, describe, expect, test, vi } from "vitest";
import { decodeWord, shellWord } from "../src/shell-word.ts";

describe("a word for a shell", () => {
  afterEach(() => void vi.unstubAllGlobals());

  test.each([
    ["d.json", "d.json"],
    ["--run", "--run"],
    ["#d.json", "'#d.json'"],
    ["~d.json", "'~d.json'"],
    ["it's", String.raw`'it'\''s'`],
    ["a\nb", String.raw`$'a\x0ab'`],
    ["\u202ex'y", String.raw`$'\xe2\x80\xaex\'y'`],
  ])("%j is %s, also in the browser, which has no Buffer", (word, quoted) => {
    vi.stubGlobal("Buffer", undefined);
    expect(shellWord(word)).toBe(quoted);
    if (quoted.startsWith("$'")) expect(decodeWord(quoted.slice(2, -1))).toBe(word);
  });
});
