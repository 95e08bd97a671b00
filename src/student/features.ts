import type { ExampleFields } from "../dataset/example.ts";
import { denseCount, fillDense } from "./dense-features.ts";
import { createScanner, newField } from "./scan-field.ts";

/*
 * The student's features: the words of each field, hashed into buckets, and about fifty counts and shares. Each text is
 * scanned once. All features are written into buffers that the next row reuses.
 */

export const fieldCount = 3; // output, instruction, input; this order holds everywhere below

/** Lists of words of a row: one a field, then the words of the output that the instruction has too, and those that the input has. */
export const listCount = 5;

const output = 0;

const instruction = 1;

const input = 2;

/** The features of one row; valid until the next call of the extractor that made it. */
export interface Features {
  /** [listCount] Distinct buckets of each list l, in order of first appearance. Only the first `counts[l]` entries are valid. */
  readonly buckets: readonly Int32Array[];
  readonly counts: Int32Array;
  readonly dense: Float32Array;
}

/** Creates a function that turns an example into features. It owns the returned buffers. */
export function createFeatureExtractor(): (example: ExampleFields) => Features {
  const scan = createScanner();
  const dense = new Float32Array(denseCount);
  const counts = new Int32Array(listCount);
  const fields = [newField(), newField(), newField()];
  const outputField = fields[output]!;
  const instructionField = fields[instruction]!;
  const inputField = fields[input]!;
  const features = {
    buckets: [...fields.map((field) => field.buckets), new Int32Array(0), new Int32Array(0)],
    counts,
    dense,
  };

  return (example) => {
    scan.nextRow();
    // in this order, so that each field can count which of its tokens the earlier fields contain
    scan(example.instruction, instructionField, 1);
    scan(example.input, inputField, 2);
    scan(example.output, outputField, 4);
    for (let f = 0; f < fieldCount; f++) counts[f] = fields[f]!.distinct;
    counts[fieldCount] = outputField.alsoInInstruction;
    counts[fieldCount + 1] = outputField.alsoInInput;
    features.buckets[output] = outputField.buckets;
    features.buckets[instruction] = instructionField.buckets;
    features.buckets[input] = inputField.buckets;
    features.buckets[fieldCount] = outputField.inInstruction;
    features.buckets[fieldCount + 1] = outputField.inInput;
    fillDense(dense, outputField, instructionField, inputField);
    return features;
  };
}
