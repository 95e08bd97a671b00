export const bucketCount = 2 ** 15; // shared by all fields; more buckets did not help

const stopWords =
  "the a an of to and in is it that for on with as are be this by or from at was you your can not but have has they which will its their more also".split(
    " ",
  );

const refusalWords = "sorry cannot unable unfortunately apologize apologies".split(" ");

const countNames = [
  "characters",
  "tokens",
  "distinct", // tokens
  "words",
  "wordCharacters",
  "newlines",
  "emptyLines",
  "listLines",
  "longestLine",
  "sentences",
  "stopWords",
  "refusals",
  "digits",
  "capitals",
  "nonAscii",
  "punctuation",
  "alsoInInstruction", // distinct tokens that the instruction contains too
  "alsoInInput",
  "firstCode",
  "lastCode", // of a character that is no space; 0 where there is none
] as const;

/** Counts of one field's text, from one pass. */
export interface Field extends Record<(typeof countNames)[number], number> {
  /** The distinct tokens' buckets; only the first `distinct` entries are valid. */
  buckets: Int32Array;
  /** Those of tokens that the instruction, or the input, contains too; the first `alsoInInstruction` and `alsoInInput` entries. */
  inInstruction: Int32Array;
  inInput: Int32Array;
  /** How often each ASCII character occurs, by code. */
  signs: Int32Array;
}

export function newField(): Field {
  const lists = { buckets: new Int32Array(1024), inInstruction: new Int32Array(1024), inInput: new Int32Array(1024) };
  const counts = Object.fromEntries(countNames.map((name) => [name, 0])) as Record<(typeof countNames)[number], number>; // all of them
  return { ...counts, ...lists, signs: new Int32Array(128) };
}

const space = 1;

const newline = 2;

const digit = 3;

export const upper = 4;

export const lower = 5;

const mark = 6;

export const characterClass = Uint8Array.from({ length: 128 }, (_, code) => {
  if (code === 10) return newline;
  if (code <= 32 || code === 127) return space;
  if (code >= 48 && code <= 57) return digit;
  if (code >= 65 && code <= 90) return upper;
  if (code >= 97 && code <= 122) return lower;
  return mark;
});

interface Scanner {
  (text: string, field: Field, fieldBit: number): void;
  /** Forgets the tokens seen so far. */
  nextRow(): void;
}

export function createScanner(): Scanner {
  // For each bucket: 8 times the last row that used it, plus one bit for each field of that row that contains it.
  const stamps = new Int32Array(bucketCount);
  const wordKinds = wordKindTable();
  let row = 0;

  let tokens = new Int32Array(4096);

  const scan = (text: string, field: Field, fieldBit: number): void => {
    const length = text.length;
    if (length + 2 > tokens.length) tokens = new Int32Array(2 * (length + 2)); // a token a character, and the opening
    const signs = field.signs.fill(0);
    let count = 0,
      words = 0,
      wordCharacters = 0,
      newlines = 0,
      listLines = 0,
      longestLine = 0,
      emptyLines = 0;
    let sentences = 0,
      stops = 0,
      refusals = 0,
      digits = 0,
      capitals = 0,
      nonAscii = 0,
      punctuation = 0;
    let lineStart = 0,
      lineHasText = false,
      previousIsEnd = false;
    let hash = fnvBasis,
      wordLength = 0;

    for (let i = 0; i <= length; i++) {
      const code = i < length ? text.charCodeAt(i) : 32;
      let kind = lower;
      if (code < 128) {
        kind = characterClass[code]!;
        signs[code]!++;
      } else {
        nonAscii++;
        if (isIdeograph(code)) kind = mark;
      }
      if (kind >= digit && kind <= lower) {
        if (kind === upper) capitals++;
        else if (kind === digit) digits++;
        hash = Math.imul(hash ^ (kind === upper ? code + 32 : code), fnvPrime);
        wordLength++;
        if (!lineHasText) {
          lineHasText = true;
          if (kind === digit) listLines++;
        }
        continue;
      }
      if (wordLength > 0) {
        const final = finalise(hash);
        const wordKind = wordKinds.kindOf(final);
        if (wordKind === 1) stops++;
        else if (wordKind === 2) refusals++;
        words++;
        wordCharacters += wordLength;
        tokens[count++] = final;
        if (words === 1) tokens[count++] = finalise(final ^ openingSalt);
        hash = fnvBasis;
        wordLength = 0;
      }
      if (kind === newline) {
        newlines++;
        if (i - lineStart > longestLine) longestLine = i - lineStart;
        if (!lineHasText) emptyLines++;
        lineStart = i + 1;
        lineHasText = false;
        tokens[count++] = newlineToken;
      } else if (kind === mark) {
        punctuation++;
        if (!lineHasText) {
          lineHasText = true;
          if (code === 45 || code === 42 || code === 0x2022) listLines++;
        }
        const isEnd = code === 46 || code === 33 || code === 63 || code === 0x3002;
        if (isEnd && !previousIsEnd) sentences++;
        previousIsEnd = isEnd;
        tokens[count++] = finalise(Math.imul(fnvBasis ^ code, fnvPrime));
        continue;
      }
      previousIsEnd = false;
    }
    if (length - lineStart > longestLine) longestLine = length - lineStart;
    signs[32]!--; // the space added after the end

    field.tokens = count;
    field.words = words;
    field.wordCharacters = wordCharacters;
    field.newlines = newlines;
    field.listLines = listLines;
    field.longestLine = longestLine;
    field.emptyLines = emptyLines;
    field.sentences = sentences;
    field.stopWords = stops;
    field.refusals = refusals;
    field.digits = digits;
    field.capitals = capitals;
    field.nonAscii = nonAscii;
    field.punctuation = punctuation;
    field.characters = length;
    field.firstCode = length > 0 ? text.charCodeAt(0) : 0;
    field.lastCode = lastCodeOf(text);
    listBuckets(field, tokens, count, fieldBit);
  };

  /** Lists the distinct buckets of a field's tokens, and those that the instruction or the input has too. */
  const listBuckets = (field: Field, all: Int32Array, count: number, fieldBit: number): void => {
    if (count > field.buckets.length) {
      field.buckets = new Int32Array(2 * count);
      field.inInstruction = new Int32Array(2 * count);
      field.inInput = new Int32Array(2 * count);
    }
    const { buckets, inInstruction, inInput } = field;
    const base = row * 8;
    let distinct = 0,
      alsoInInstruction = 0,
      alsoInInput = 0;
    for (let i = 0; i < count; i++) {
      const bucket = all[i]! & (bucketCount - 1);
      let stamp = stamps[bucket]!;
      if (stamp < base) stamp = base;
      if ((stamp & fieldBit) !== 0) continue;
      if ((stamp & 1) !== 0) inInstruction[alsoInInstruction++] = bucket;
      if ((stamp & 2) !== 0) inInput[alsoInInput++] = bucket;
      stamps[bucket] = stamp | fieldBit;
      buckets[distinct++] = bucket;
    }
    field.distinct = distinct;
    field.alsoInInstruction = alsoInInstruction;
    field.alsoInInput = alsoInInput;
  };

  const nextRow = (): void => {
    row++;
    if (row > 2 ** 27) {
      stamps.fill(0);
      row = 1;
    }
  };
  return Object.assign(scan, { nextRow });
}

/** The code of the last character that is no space; 0 where there is none. */
function lastCodeOf(text: string): number {
  for (let i = text.length - 1; i >= 0; i--) {
    const code = text.charCodeAt(i);
    const isSpace = code < 128 ? code === 32 || (code >= 9 && code <= 13) : /\s/.test(text[i]!);
    if (!isSpace) return code;
  }
  return 0;
}

const fnvBasis = 0x811c9dc5 | 0;

const fnvPrime = 0x01000193;

const openingSalt = 0x5bd1e995; // a text's first word also gives a second token, which marks it as the opening

const newlineToken = finalise(Math.imul(fnvBasis ^ 10, fnvPrime));

/** Mixes the last characters into all bits (the finaliser of MurmurHash3). */
function finalise(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

function hashWord(word: string): number {
  let hash = fnvBasis;
  for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), fnvPrime);
  return finalise(hash);
}

/** Classifies words by their hash: 1 for stop words, 2 for refusal words, 0 for others. */
function wordKindTable(): { kindOf(hash: number): number } {
  const slots = 4096;
  const hashes = new Int32Array(slots);
  const kinds = new Uint8Array(slots);
  for (const [words, kind] of [
    [stopWords, 1],
    [refusalWords, 2],
  ] as const) {
    for (const word of words) {
      const hash = hashWord(word);
      hashes[hash & (slots - 1)] = hash;
      kinds[hash & (slots - 1)] = kind;
    }
  }
  return { kindOf: (hash) => (hashes[hash & (slots - 1)] === hash ? kinds[hash & (slots - 1)]! : 0) };
}

function isIdeograph(code: number): boolean {
  return (
    (code >= 0x3000 && code <= 0x30ff) ||
    (code >= 0x3400 && code <= 0x9fff) ||
    (code >= 0xac00 && code <= 0xd7af) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xff00 && code <= 0xffef)
  );
}
