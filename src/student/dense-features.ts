import { type Field, characterClass, lower, upper } from "./scan-field.ts";

const closingPunctuation = new Set(".!?\"')]}`。！？".split("").map((sign) => sign.charCodeAt(0)));

type DenseFeature = readonly [name: string, of: (out: Field, ask: Field, context: Field) => number];

const fields = [
  ["output", (out: Field) => out],
  ["instruction", (_: Field, ask: Field) => ask],
  ["input", (_: Field, __: Field, context: Field) => context],
] as const;

const { log1p } = Math;

/** Counts how often any of these ASCII signs occurs in a field. */
function countOf(signs: string): (field: Field) => number {
  const codes = Uint8Array.from(signs, (sign) => sign.charCodeAt(0));
  return (field) => {
    let total = 0;
    for (const code of codes) total += field.signs[code]!;
    return total;
  };
}

const commas = countOf(",");

/** The dense features: their names and how each is computed from the fields' counts. A model file depends on the order. */
const denseFeatures: readonly DenseFeature[] = [
  ...fields.flatMap(([name, pick]): DenseFeature[] => [
    [`log characters of ${name}`, (out, ask, context) => log1p(pick(out, ask, context).characters)],
    [`log words of ${name}`, (out, ask, context) => log1p(pick(out, ask, context).words)],
    [
      `word length of ${name}`,
      (out, ask, context) => {
        const { words, wordCharacters } = pick(out, ask, context);
        return words ? wordCharacters / words : 0;
      },
    ],
  ]),
  ["log newlines of output", (out) => log1p(out.newlines)],
  ["log list lines of output", (out) => log1p(out.listLines)],
  ["log longest line of output", (out) => log1p(out.longestLine)],
  ["log empty lines of output", (out) => log1p(out.emptyLines)],
  ["log sentences of output", (out) => log1p(out.sentences)],
  ["words per sentence", (out) => out.words / Math.max(1, out.sentences)],
  ["distinct share of output tokens", (out) => out.distinct / Math.max(1, out.tokens)],
  ["log distinct output tokens", (out) => log1p(out.distinct)],
  ["share of output found in instruction", (out) => out.alsoInInstruction / Math.max(1, out.distinct)],
  ["share of output found in input", (out) => out.alsoInInput / Math.max(1, out.distinct)],
  ["share of instruction found in output", (out, ask) => out.alsoInInstruction / Math.max(1, ask.distinct)],
  ["share of input found in output", (out, _, context) => out.alsoInInput / Math.max(1, context.distinct)],
  ["stop-word share", (out) => out.stopWords / Math.max(1, out.words)],
  ["any refusal word", (out) => (out.refusals > 0 ? 1 : 0)],
  ["commas per word", (out) => commas(out) / Math.max(1, out.words)],
  ...[",", "!", "?", ":", ";", '"', "(", "{}<=", "-"].map((signs): DenseFeature => {
    const counted = countOf(signs);
    return [`log count of ${signs} in output`, (out) => log1p(counted(out))];
  }),
  ["digit share", (out) => out.digits / Math.max(1, out.characters)],
  ["capital share", (out) => out.capitals / Math.max(1, out.characters)],
  ["log digits", (out) => log1p(out.digits)],
  ["log capitals", (out) => log1p(out.capitals)],
  ["log non-ASCII", (out) => log1p(out.nonAscii)],
  ["punctuation per word", (out) => out.punctuation / Math.max(1, out.words)],
  ["log digits of instruction", (_, ask) => log1p(ask.digits)],
  ["log capitals of instruction", (_, ask) => log1p(ask.capitals)],
  ...["?", '"', ":", ","].map((sign): DenseFeature => {
    const counted = countOf(sign);
    return [`log ${sign} of instruction`, (_, ask) => log1p(counted(ask))];
  }),
  ["log newlines of input", (_, __, context) => log1p(context.newlines)],
  ["output ends in closing punctuation", (out) => (closingPunctuation.has(out.lastCode) ? 1 : 0)],
  ["output starts with a capital", (out) => (characterClass[out.firstCode] === upper ? 1 : 0)],
  ["output starts with a lower-case letter", (out) => (characterClass[out.firstCode] === lower ? 1 : 0)],
  ["log output over prompt", (out, ask, context) => log1p(out.characters) - log1p(ask.characters + context.characters)],
  ["no input", (_, __, context) => (context.characters === 0 ? 1 : 0)],
];

/** Names of the dense features, in their order. */
export const denseNames: readonly string[] = denseFeatures.map(([name]) => name);
export const denseCount = denseFeatures.length;

export function fillDense(dense: Float32Array, out: Field, ask: Field, context: Field): void {
  for (let d = 0; d < denseCount; d++) dense[d] = denseFeatures[d]![1](out, ask, context);
}
