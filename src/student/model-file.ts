import { hash } from "node:crypto";
import { readWhole } from "../files/read-file.ts";
import * as z from "zod";
import { DataError, messageOf } from "../errors.ts";
import { studentCardSchema } from "./card.ts";
import { denseCount } from "./dense-features.ts";
import { fieldCount, listCount } from "./features.ts";
import { embeddingSize, weightSizes, type NetworkShape } from "./network.ts";
import { bucketCount } from "./scan-field.ts";
import { lmHeadSchema } from "./lm-head.ts";
import type { Network, StudentModel } from "./student.ts";

/*
 * The format of a student's file: "ALPS", the header's length (4 bytes, little-endian), the header (JSON: card, calibrations,
 * column scales, hash of the tables), then the tables of the score's network, those of the fit's, and the standardisation.
 * Embeddings and wide weights are int8, the small layers float32.
 */

const magic = "ALPS";
const clipPercentile = 0.9995; // of a column's absolute values; larger ones are clipped: rare, and they cost the others precision
const floatTables = ["hidden", "hiddenBias", "output", "outputBias", "skip"] as const;

const networkSchema = z.object({
  calibration: z.object({ temperature: z.number(), biases: z.array(z.number()).readonly() }),
  hidden: z.int().min(4).max(256).multipleOf(4),
  /** Rows of the tables of words. */
  buckets: z
    .int()
    .min(1)
    .max(bucketCount)
    .refine((buckets) => (buckets & (buckets - 1)) === 0),
  /** The value of one int8 step, for each embedding dimension and for each list's wide weight. */
  scales: z.object({
    embeddings: z.array(z.number()).length(embeddingSize),
    wide: z.array(z.number()),
  }),
});

const headerSchema = z.object({
  card: studentCardSchema,
  score: networkSchema,
  fit: networkSchema,
  lm: lmHeadSchema.optional(),
  sha256: z.string(),
});

/** Returns the bytes of a student's file, about 490 KB. */
export function encodeStudent({ card, standardisation, score, fit, lm }: StudentModel): Buffer {
  const networks = { score: encodeNetwork(score), fit: encodeNetwork(fit) };
  const body = Buffer.concat([
    ...networks.score.tables,
    ...networks.fit.tables,
    bytesOf(standardisation.mean),
    bytesOf(standardisation.deviation),
  ]);
  const header = Buffer.from(
    JSON.stringify({
      card,
      score: networks.score.header,
      fit: networks.fit.header,
      lm,
      sha256: hash("sha256", body),
    } satisfies z.infer<typeof headerSchema>),
  );
  const start = Buffer.alloc(8);
  start.write(magic, "latin1");
  start.writeUInt32LE(header.length, 4);
  return Buffer.concat([start, header, body]);
}

function encodeNetwork({ weights, calibration }: Network): { header: z.infer<typeof networkSchema>; tables: Buffer[] } {
  const embeddings = quantise(weights.embeddings, embeddingSize);
  const wide = quantise(weights.wide, weights.lists);
  return {
    header: {
      calibration,
      hidden: weights.hiddenSize,
      buckets: weights.bucketCount,
      scales: { embeddings: embeddings.scales, wide: wide.scales },
    },
    tables: [bytesOf(embeddings.values), bytesOf(wide.values), ...floatTables.map((name) => bytesOf(weights[name]))],
  };
}

/** Reads a student's file. @throws DataError when it is missing, damaged, or of another version */
export async function readStudent(path: string): Promise<StudentModel> {
  const bytes = await readWhole(path).catch((cause: unknown) => {
    const isMissing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    throw new DataError(
      `${path}: ${isMissing ? "no such file; expected a student, as distill writes it" : `the student cannot be read: ${messageOf(cause)}`}`,
      { cause },
    );
  });
  return decodeStudent(bytes, path);
}

/**
 * Decodes what {@link encodeStudent} returned.
 *
 * @param path for error messages
 * @throws DataError when the file is damaged or of another version
 */
export function decodeStudent(bytes: Buffer, path: string): StudentModel {
  if (bytes.length < 8 || bytes.toString("latin1", 0, 4) !== magic)
    throw new DataError(`${path}: expected a student's file (made by alpagasus distill), got something else`);
  const headerEnd = 8 + bytes.readUInt32LE(4);
  const header = parseHeader(bytes.toString("utf8", 8, headerEnd), path);
  const body = bytes.subarray(headerEnd);
  if (hash("sha256", body) !== header.sha256)
    throw new DataError(`${path}: the student's file is damaged (its content does not match its checksum)`);

  const shapes = {
    score: shapeOf(header.score, header.card.scores.length, fieldCount),
    fit: shapeOf(header.fit, 2, listCount),
  };
  const expected = byteCount(shapes.score) + byteCount(shapes.fit) + 2 * 4 * denseCount;
  const isWhole = (name: "score" | "fit") => header[name].scales.wide.length === shapes[name].lists;
  if (body.length !== expected || !isWhole("score") || !isWhole("fit"))
    throw new DataError(`${path}: the student's file is damaged (its header does not match its tables)`);

  const copy = new Uint8Array(body).buffer; // a copy is aligned, whatever the header's length
  let at = 0;
  const table = (size: number, scales: readonly number[]): Float32Array => {
    const values = new Int8Array(copy, at, size);
    at += size;
    const columns = scales.length;
    const floats = new Float32Array(size);
    for (let row = 0; row < size; row += columns)
      // `Float32Array.from` takes ten times as long
      for (let column = 0; column < columns; column++) floats[row + column] = values[row + column]! * scales[column]!;
    return floats;
  };
  const floats = (size: number): Float32Array => {
    const values = new Float32Array(copy.slice(at, at + 4 * size));
    at += 4 * size;
    return values;
  };
  const network = (name: "score" | "fit"): Network => {
    const { calibration, scales } = header[name];
    const sizes = weightSizes(shapes[name]);
    const weights = {
      ...shapes[name],
      embeddings: table(sizes.embeddings, scales.embeddings),
      wide: table(sizes.wide, scales.wide),
      hidden: floats(sizes.hidden),
      hiddenBias: floats(sizes.hiddenBias),
      output: floats(sizes.output),
      outputBias: floats(sizes.outputBias),
      skip: floats(sizes.skip),
    };
    return { weights, calibration };
  };
  return {
    card: header.card,
    score: network("score"),
    fit: network("fit"),
    lm: header.lm,
    standardisation: { mean: floats(denseCount), deviation: floats(denseCount) },
  };
}

function shapeOf(
  { hidden, buckets }: z.infer<typeof networkSchema>,
  classCount: number,
  lists: NetworkShape["lists"],
): NetworkShape {
  return { classCount, hiddenSize: hidden, bucketCount: buckets, lists };
}

/** Bytes of a network's tables in the file. */
function byteCount(shape: NetworkShape): number {
  const sizes = weightSizes(shape);
  return sizes.embeddings + sizes.wide + floatTables.reduce((sum, name) => sum + 4 * sizes[name], 0);
}

function parseHeader(text: string, path: string): z.infer<typeof headerSchema> {
  try {
    return headerSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new DataError(
      `${path}: the student's file is damaged or of another version; train it again with alpagasus distill`,
      { cause },
    );
  }
}

/** Quantises a table to int8, with one scale per column. */
function quantise(table: Float32Array, columns: number): { values: Int8Array; scales: number[] } {
  const scales = Array.from({ length: columns }, (_, column) => {
    const size = table.length / columns;
    const absolute = Float32Array.from({ length: size }, (_unused, row) =>
      Math.abs(table[row * columns + column]!),
    ).sort();
    return (absolute[Math.floor(clipPercentile * (size - 1))]! || absolute[size - 1]! || 1) / 127;
  });
  const values = Int8Array.from(table, (value, i) =>
    Math.max(-127, Math.min(127, Math.round(value / scales[i % columns]!))),
  );
  return { values, scales };
}

function bytesOf(array: Int8Array | Float32Array): Buffer {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength);
}
