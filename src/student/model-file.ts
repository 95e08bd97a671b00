import { hash } from "node:crypto";
import { readFile } from "node:fs/promises";
import * as z from "zod";
import { DataError, messageOf } from "../errors.ts";
import { studentCardSchema } from "./card.ts";
import { denseCount } from "./dense-features.ts";
import { fieldCount } from "./features.ts";
import { embeddingSize, weightSizes, type Weights } from "./network.ts";
import type { StudentModel } from "./student.ts";

/*
 * The format of a student's file: "ALPS", the header's length (4 bytes, little-endian), the header (JSON: card, calibration,
 * column scales, hash of the tables), then the tables. Embeddings and wide weights are int8, the small layers float32.
 */

const magic = "ALPS";
const clipPercentile = 0.9995; // of a column's absolute values; larger ones are clipped: rare, and they cost the others precision
const floatTables = ["hidden", "hiddenBias", "output", "outputBias", "skip"] as const;

const headerSchema = z.object({
  card: studentCardSchema,
  calibration: z.object({ temperature: z.number(), biases: z.array(z.number()).readonly() }),
  /** The value of one int8 step, for each embedding dimension and for each field's wide weight. */
  scales: z.object({
    embeddings: z.array(z.number()).length(embeddingSize),
    wide: z.array(z.number()).length(fieldCount),
  }),
  sha256: z.string(),
});

/** Returns the bytes of a student's file, about 370 KB. */
export function encodeStudent({ card, weights, standardisation, calibration }: StudentModel): Buffer {
  const embeddings = quantise(weights.embeddings, embeddingSize);
  const wide = quantise(weights.wide, fieldCount);
  const floats = [...floatTables.map((name) => weights[name]), standardisation.mean, standardisation.deviation];
  const body = Buffer.concat([bytesOf(embeddings.values), bytesOf(wide.values), ...floats.map(bytesOf)]);
  const header = Buffer.from(
    JSON.stringify({
      card,
      calibration,
      scales: { embeddings: embeddings.scales, wide: wide.scales },
      sha256: hash("sha256", body),
    } satisfies z.infer<typeof headerSchema>),
  );
  const start = Buffer.alloc(8);
  start.write(magic, "latin1");
  start.writeUInt32LE(header.length, 4);
  return Buffer.concat([start, header, body]);
}

/** Reads a student's file. @throws DataError when it is missing, damaged, or of another version */
export async function readStudent(path: string): Promise<StudentModel> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new DataError(`${path}: the student cannot be read: ${messageOf(cause)}`, { cause });
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

  const classCount = header.card.scores.length;
  const sizes = weightSizes(classCount);
  const copy = new Uint8Array(body).buffer; // a copy is aligned, whatever the header's length
  let at = 0;
  const table = (size: number, scales: readonly number[]): Float32Array => {
    const values = new Int8Array(copy, at, size);
    at += size;
    return Float32Array.from(values, (value, i) => value * scales[i % scales.length]!);
  };
  const floats = (size: number): Float32Array => {
    const values = new Float32Array(copy.slice(at, at + 4 * size));
    at += 4 * size;
    return values;
  };
  const weights: Weights = {
    classCount,
    embeddings: table(sizes.embeddings, header.scales.embeddings),
    wide: table(sizes.wide, header.scales.wide),
    hidden: floats(sizes.hidden),
    hiddenBias: floats(sizes.hiddenBias),
    output: floats(sizes.output),
    outputBias: floats(sizes.outputBias),
    skip: floats(sizes.skip),
  };
  return {
    card: header.card,
    weights,
    standardisation: { mean: floats(denseCount), deviation: floats(denseCount) },
    calibration: header.calibration,
  };
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
