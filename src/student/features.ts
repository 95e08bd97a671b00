import type { ExampleFields } from "../dataset/example.ts";

/*
 * The student's features: the words of each field, hashed into buckets, and about fifty counts and shares. Each text is
 * scanned once. All features are written into buffers that the next row reuses.
 */

export const bucketCount = 2 ** 15; // shared by all fields; more buckets did not help
export const fieldCount = 3; // output, instruction, input; this order holds everywhere below
const output = 0;
const instruction = 1;
const input = 2;

/** Names of the dense features, in the order of {@link Features.dense}. */
export const denseNames = [
  ...["output", "instruction", "input"].flatMap((field) => [
    `log characters of ${field}`,
    `log words of ${field}`,
    `word length of ${field}`,
  ]),
  ..."newlines,list lines,longest line,empty lines,sentences".split(",").map((name) => `log ${name} of output`),
  "words per sentence",
  "distinct share of output tokens",
  "log distinct output tokens",
  "share of output found in instruction",
  "share of output found in input",
  "share of instruction found in output",
  "share of input found in output",
  "stop-word share",
  "any refusal word",
  "commas per word",
  ...[",", "!", "?", ":", ";", '"', "(", "{}<=", "-"].map((sign) => `log count of ${sign} in output`),
  "digit share",
  "capital share",
  "log digits",
  "log capitals",
  "log non-ASCII",
  "punctuation per word",
  ...["digits", "capitals", "?", '"', ":", ","].map((sign) => `log ${sign} of instruction`),
  "log newlines of input",
  "output ends in closing punctuation",
  "output starts with a capital",
  "output starts with a lower-case letter",
  "log output over prompt",
  "no input",
] as const;
export const denseCount = denseNames.length;

const stopWords =
  "the a an of to and in is it that for on with as are be this by or from at was you your can not but have has they which will its their more also".split(
    " ",
  );
const refusalWords = "sorry cannot unable unfortunately apologize apologies".split(" ");

/** The features of one row; valid until the next call of the extractor that made it. */
export interface Features {
  /** Distinct buckets of each field f, in order of first appearance. Only the first `counts[f]` entries are valid. */
  readonly buckets: readonly Int32Array[];
  readonly counts: Int32Array;
  readonly dense: Float32Array;
}

/** Creates a function that turns an example into features. It owns the returned buffers. */
export function createFeatureExtractor(): (example: ExampleFields) => Features {
  const scan = createScanner();
  const dense = new Float32Array(denseCount);
  const counts = new Int32Array(fieldCount);
  const fields = [newField(), newField(), newField()];
  const out = fields[output]!;
  const ask = fields[instruction]!;
  const context = fields[input]!;
  const features = { buckets: fields.map((field) => field.buckets), counts, dense };

  return (example) => {
    scan.nextRow();
    // in this order, so that each field can count which of its tokens the earlier fields contain
    scan(example.instruction, ask, 1);
    scan(example.input, context, 2);
    scan(example.output, out, 4);
    for (let f = 0; f < fieldCount; f++) counts[f] = fields[f]!.distinct;
    features.buckets[output] = out.buckets;
    features.buckets[instruction] = ask.buckets;
    features.buckets[input] = context.buckets;
    fillDense(dense, out, ask, context);
    return features;
  };
}

/** Counts of one field's text, from one pass. */
interface Field {
  buckets: Int32Array;
  distinct: number;
  tokens: number;
  characters: number;
  words: number;
  wordCharacters: number;
  newlines: number;
  listLines: number;
  longestLine: number;
  emptyLines: number;
  sentences: number;
  stopWords: number;
  refusals: number;
  digits: number;
  capitals: number;
  nonAscii: number;
  punctuation: number;
  /** How often each ASCII character occurs, by code. */
  signs: Int32Array;
  /** Number of distinct tokens that the instruction contains too. */
  alsoInInstruction: number;
  /** Number of distinct tokens that the input contains too. */
  alsoInInput: number;
  firstCode: number;
  lastCode: number;
}

function newField(): Field {
  const zero = {
    distinct: 0,
    tokens: 0,
    characters: 0,
    words: 0,
    wordCharacters: 0,
    newlines: 0,
    listLines: 0,
    longestLine: 0,
  };
  const zero2 = {
    emptyLines: 0,
    sentences: 0,
    stopWords: 0,
    refusals: 0,
    digits: 0,
    capitals: 0,
    nonAscii: 0,
    punctuation: 0,
  };
  return {
    buckets: new Int32Array(1024),
    ...zero,
    ...zero2,
    signs: new Int32Array(128),
    alsoInInstruction: 0,
    alsoInInput: 0,
    firstCode: 0,
    lastCode: 0,
  };
}

const space = 1;
const newline = 2;
const digit = 3;
const upper = 4;
const lower = 5;
const mark = 6;
const characterClass = Uint8Array.from({ length: 128 }, (_, code) => {
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

function createScanner(): Scanner {
  // For each bucket: 8 times the last row that used it, plus one bit for each field of that row that contains it.
  const stamps = new Int32Array(bucketCount);
  const wordKinds = wordKindTable();
  let row = 0;

  const scan = (text: string, field: Field, fieldBit: number): void => {
    const base = row * 8;
    const signs = field.signs.fill(0);
    let buckets = field.buckets;
    let distinct = 0,
      tokens = 0,
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
      punctuation = 0,
      inInstruction = 0,
      inInput = 0;
    let lineStart = 0,
      lineHasText = false,
      previousIsEnd = false;
    let hash = fnvBasis,
      wordLength = 0;
    const length = text.length;

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
        lineHasText ||= markLine(kind === digit);
        continue;
      }
      if (wordLength > 0) {
        const final = finalise(hash);
        const wordKind = wordKinds.kindOf(final);
        if (wordKind === 1) stops++;
        else if (wordKind === 2) refusals++;
        words++;
        wordCharacters += wordLength;
        add(final);
        if (words === 1) add(finalise(final ^ openingSalt));
        hash = fnvBasis;
        wordLength = 0;
      }
      if (kind === newline) {
        newlines++;
        if (i - lineStart > longestLine) longestLine = i - lineStart;
        if (!lineHasText) emptyLines++;
        lineStart = i + 1;
        lineHasText = false;
        add(newlineToken);
      } else if (kind === mark) {
        punctuation++;
        lineHasText ||= markLine(code === 45 || code === 42 || code === 0x2022);
        const isEnd = code === 46 || code === 33 || code === 63 || code === 0x3002;
        if (isEnd && !previousIsEnd) sentences++;
        previousIsEnd = isEnd;
        add(finalise(Math.imul(fnvBasis ^ code, fnvPrime)));
        continue;
      }
      previousIsEnd = false;
    }

    if (length - lineStart > longestLine) longestLine = length - lineStart;
    signs[32]!--; // the space added after the end
    Object.assign(field, {
      buckets,
      distinct,
      tokens,
      words,
      wordCharacters,
      newlines,
      listLines,
      longestLine,
      emptyLines,
      sentences,
    });
    Object.assign(field, {
      stopWords: stops,
      refusals,
      digits,
      capitals,
      nonAscii,
      punctuation,
      alsoInInstruction: inInstruction,
      alsoInInput: inInput,
    });
    field.characters = length;
    field.firstCode = length > 0 ? text.charCodeAt(0) : 0;
    field.lastCode = text.trimEnd().charCodeAt(text.trimEnd().length - 1) || 0;

    function markLine(beginsList: boolean): true {
      if (beginsList) listLines++;
      return true;
    }

    function add(token: number): void {
      tokens++;
      const bucket = token & (bucketCount - 1);
      let stamp = stamps[bucket]!;
      if (stamp < base) stamp = base;
      if ((stamp & fieldBit) !== 0) return;
      if ((stamp & 1) !== 0) inInstruction++;
      if ((stamp & 2) !== 0) inInput++;
      stamps[bucket] = stamp | fieldBit;
      if (distinct === buckets.length) {
        const larger = new Int32Array(buckets.length * 2);
        larger.set(buckets);
        buckets = larger;
      }
      buckets[distinct++] = bucket;
    }
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

const closingPunctuation = new Set(".!?\"')]}`。！？".split("").map((sign) => sign.charCodeAt(0)));

function fillDense(dense: Float32Array, out: Field, ask: Field, context: Field): void {
  let d = 0;
  for (const field of [out, ask, context]) {
    dense[d++] = Math.log1p(field.characters);
    dense[d++] = Math.log1p(field.words);
    dense[d++] = field.words ? field.wordCharacters / field.words : 0;
  }
  dense[d++] = Math.log1p(out.newlines);
  dense[d++] = Math.log1p(out.listLines);
  dense[d++] = Math.log1p(out.longestLine);
  dense[d++] = Math.log1p(out.emptyLines);
  dense[d++] = Math.log1p(out.sentences);
  dense[d++] = out.words / Math.max(1, out.sentences);
  dense[d++] = out.distinct / Math.max(1, out.tokens);
  dense[d++] = Math.log1p(out.distinct);
  dense[d++] = out.alsoInInstruction / Math.max(1, out.distinct);
  dense[d++] = out.alsoInInput / Math.max(1, out.distinct);
  dense[d++] = out.alsoInInstruction / Math.max(1, ask.distinct);
  dense[d++] = out.alsoInInput / Math.max(1, context.distinct);
  dense[d++] = out.stopWords / Math.max(1, out.words);
  dense[d++] = out.refusals > 0 ? 1 : 0;
  dense[d++] = count(out, ",") / Math.max(1, out.words);
  for (const sign of [",", "!", "?", ":", ";", '"', "("]) dense[d++] = Math.log1p(count(out, sign));
  dense[d++] = Math.log1p(count(out, "{") + count(out, "}") + count(out, "<") + count(out, "="));
  dense[d++] = Math.log1p(count(out, "-"));
  dense[d++] = out.digits / Math.max(1, out.characters);
  dense[d++] = out.capitals / Math.max(1, out.characters);
  dense[d++] = Math.log1p(out.digits);
  dense[d++] = Math.log1p(out.capitals);
  dense[d++] = Math.log1p(out.nonAscii);
  dense[d++] = out.punctuation / Math.max(1, out.words);
  dense[d++] = Math.log1p(ask.digits);
  dense[d++] = Math.log1p(ask.capitals);
  for (const sign of ["?", '"', ":", ","]) dense[d++] = Math.log1p(count(ask, sign));
  dense[d++] = Math.log1p(context.newlines);
  dense[d++] = closingPunctuation.has(out.lastCode) ? 1 : 0;
  dense[d++] = characterClass[out.firstCode] === upper ? 1 : 0;
  dense[d++] = characterClass[out.firstCode] === lower ? 1 : 0;
  dense[d++] = Math.log1p(out.characters) - Math.log1p(ask.characters + context.characters);
  dense[d++] = context.characters === 0 ? 1 : 0;
}

function count(field: Field, sign: string): number {
  return field.signs[sign.charCodeAt(0)]!;
}
