/** Characters of scripts that put no spaces between words, for a class with the flag `v`. Each counts as a word. */
export const unspaced = String.raw`\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}`;
const wordPattern = new RegExp(String.raw`[${unspaced}]|[[\p{L}\p{M}\p{N}]--[${unspaced}]]+`, "gv");

/** A text's words, lower-cased, in compatibility form (NFKC), without punctuation. */
export function wordsOf(text: string): string[] {
  return text.normalize("NFKC").toLowerCase().match(wordPattern) ?? [];
}

/** A 32-bit hash of a word (FNV-1a over UTF-16 units). */
export function hashWord(word: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), 0x01000193);
  return finished(hash);
}

function finished(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 15), 0x85ebca77);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}

const plain = new Uint8Array(128); // lower case of a letter or digit of ASCII, 0 for other characters
for (const code of "abcdefghijklmnopqrstuvwxyz0123456789") plain[code.charCodeAt(0)] = code.charCodeAt(0);
for (let code = 65; code <= 90; code++) plain[code] = code + 32;

/**
 * Writes the hashes of a text's words, as of {@link wordsOf} and {@link hashWord}, and returns how many they are. ASCII, which most text is,
 * is read in one pass; between white space, what holds other characters is left to {@link wordsOf}: no rule of Unicode reaches over a space.
 *
 * @param into four times as long as the text at least
 */
export function hashWords(text: string, into: Uint32Array): number {
  let count = 0;
  let hash = 0x811c9dc5;
  let isIn = false;
  let start = 0; // of what stands after the last white space
  let countThere = 0;
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 32;
    const letter = code < 128 ? plain[code]! : 0;
    if (letter !== 0) {
      hash = Math.imul(hash ^ letter, 0x01000193);
      isIn = true;
      continue;
    }
    if (code > 127) {
      i = endOfOther(text, i);
      count = countThere;
      for (const word of wordsOf(text.slice(start, i))) into[count++] = hashWord(word);
    } else if (isIn) into[count++] = finished(hash);
    if (code <= 32 || code > 127) {
      start = i + 1;
      countThere = count;
    }
    hash = 0x811c9dc5;
    isIn = false;
  }
  return count;
}

/** Where white space ends the parts that hold other characters than ASCII; the part from `i` does. */
function endOfOther(text: string, i: number): number {
  let end = i;
  let isOther = true;
  for (; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 32;
    if (code > 127) isOther = true;
    else if (code <= 32) {
      if (!isOther) return end;
      end = i;
      isOther = false;
    }
  }
  return end;
}
