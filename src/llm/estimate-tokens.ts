/*
 * Estimates a text's number of tokens without a tokenizer.
 */

const piece = /'(?:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+/giu;
const longWord = 9; // letters: most words up to this length are one token
const perLongWord = 6; // letters per further token
const ideographs = /[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]/;
const perIdeograph = 0.72;
const perLetter = 3.4; // letters per token in other scripts

/**
 * Splits a text like the pre-tokenizer of current byte-pair tokenizers and counts the pieces, long words as several. Within 10 %
 * of the count of OpenAI's o200k tokenizer on English, code, German, Russian, Chinese and Japanese texts; a quarter of the bytes
 * is up to 24 % off.
 */
export function estimateTokens(text: string): number {
  let tokens = 0;
  for (const [part] of text.matchAll(piece)) {
    const letters = part.trim().length;
    if (Buffer.byteLength(part) === part.length)
      tokens += letters <= longWord ? 1 : 1 + (letters - longWord) / perLongWord;
    else tokens += ideographs.test(part) ? perIdeograph * letters : Math.max(1, letters / perLetter);
  }
  return tokens;
}
