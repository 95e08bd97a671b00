/** The seed of every draw, unless the user gives another. */
export const defaultSeed = 42;

/** A source of random numbers in [0, 1), reproducible by its seed. */
export type Random = () => number;

/** A seeded generator (sfc32, C. Doty-Humphrey's small fast counting generator, after mixing the seed). */
export function createRandom(seed: number): Random {
  let a = 0x9e3779b9 | 0;
  let b = 0x243f6a88 | 0;
  let c = seed | 0;
  let counter = Math.floor(seed / 2 ** 32) | 1;
  const next = (): number => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + t) | 0;
    return (t >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 15; i++) next();
  return next;
}

/** The numbers 0 to `count` - 1 in a random order. */
export function shuffledIndices(count: number, random: Random): Uint32Array {
  return shuffle(
    Uint32Array.from({ length: count }, (_, i) => i),
    random,
  );
}

/** Puts the elements into a random order, in place (Fisher and Yates). */
export function shuffle(indices: Uint32Array, random: Random): Uint32Array {
  for (let i = indices.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [indices[i], indices[j]] = [indices[j]!, indices[i]!];
  }
  return indices;
}
