import { basename } from "node:path";
import { DataError, UsageError } from "../errors.ts";
import { toChatMessage, type Conversation } from "./conversation.ts";
import type { Example } from "./example.ts";
import type { Dataset, PooledSource } from "./dataset.ts";
import type { Shape } from "./shape.ts";
import { findShape } from "./shapes/index.ts";

/*
 * Several sources as one dataset, each with its own format and shape. Rows keep the name of their source.
 */

type Layout = NonNullable<Dataset["layout"]>;

/** @param labels the names of the sources, where they have some already @throws UsageError when a source is named twice */
export function poolDatasets(
  datasets: readonly Dataset[],
  labels = labelSources(datasets.map(({ source }) => source)),
): Dataset {
  const [first, ...others] = datasets as [Dataset, ...Dataset[]]; // called with two or more
  const twice = datasets.find(({ source }, i) => datasets.findIndex((other) => other.source === source) < i);
  if (twice) throw new UsageError(`${twice.source}: expected each source once, got it again`);
  const pool = datasets.map(({ source, shape, quotes }, i): PooledSource => {
    return { source, label: labels[i]!, shape: shape.name, map: shape.map, quotes };
  });
  const isSameShape = others.every(({ shape }) => isAlike(shape, first.shape));
  const isSameFormat = others.every(
    ({ format, header, files, rewritten, quotes }) =>
      rewritten === undefined &&
      (format !== "csv" || quotes === undefined) &&
      first.rewritten === undefined &&
      format === first.format &&
      withoutMark(header) === withoutMark(first.header) &&
      files[0]!.extension === first.files[0]!.extension,
  );
  const layout: Layout = !isSameShape ? "messages" : isSameFormat ? "as they are" : "objects";
  return {
    source: datasets.map(({ source }) => source).join(" + "),
    files: datasets.flatMap(({ files }) => files),
    format: layout === "as they are" ? first.format : "jsonl",
    extension: layout === "as they are" ? first.extension : ".jsonl",
    shape: layout === "messages" ? messagesShape() : first.shape,
    ...(layout === "as they are" && { header: first.header }),
    unused: [...new Set(datasets.flatMap(({ unused }) => unused))],
    pool,
    layout,
    ...(layout === "messages" && {
      rewritten:
        "its sources differ in shape, so the arm is written as messages: other columns, and turns after the judged answer, are left out",
    }),
    batches: () => readPool(datasets, labels, layout),
  };
}

/** A header without its byte order mark. */
function withoutMark(header: string | undefined): string | undefined {
  return header?.replace(/^\ufeff/, "");
}

async function* readPool(
  datasets: readonly Dataset[],
  labels: readonly string[],
  layout: Layout,
): AsyncGenerator<readonly Example[]> {
  let from = 0;
  for (const [i, dataset] of datasets.entries()) {
    let rows = 0;
    for await (const batch of dataset.batches()) {
      rows += batch.length;
      yield batch.map((example) => {
        const index = from + example.index;
        return { ...example, index, source: labels[i]!, text: textOf(example, labels[i]!, layout) };
      });
    }
    from += rows;
  }
}

function textOf(example: Example, source: string, layout: Layout): string {
  if (layout === "as they are" || example.unreadable !== undefined) return example.text;
  if (layout === "objects") return isJsonText(example) ? oneLine(example.text) : JSON.stringify(example.row);
  const { instruction, input, output, id, category } = example;
  const asked = input === "" ? instruction : `${instruction}\n\n${input}`;
  const { turns, answer, tools, templateOptions }: Conversation = example.conversation ?? {
    turns: [{ role: "user", text: asked }],
    answer: { role: "assistant", text: output },
    tools: [],
  };
  return JSON.stringify({
    messages: [...turns, answer].map((turn) => ({
      ...toChatMessage(turn),
      ...(turn.name !== undefined && { name: turn.name }),
      ...(turn.weight !== undefined && { weight: turn.weight }),
    })),
    ...(tools.length > 0 && { tools }),
    ...(templateOptions && { chat_template_kwargs: templateOptions }),
    ...(id !== undefined && { id }),
    ...(category !== undefined && { category }),
    ...(example.reference !== undefined && { reference: example.reference }),
    source: example.row["source"] ?? source,
  });
}

/** Whether a row's text is JSON, with its numbers as they are. */
function isJsonText({ place: { format } }: Example): boolean {
  return format !== "csv";
}

/** JSON on one line: line ends stand between values only. */
function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, " ");
}

function isAlike(one: Shape, other: Shape): boolean {
  return one.name === other.name && JSON.stringify(one.map) === JSON.stringify(other.map);
}

function messagesShape(): Shape {
  const shape = findShape({ messages: [] });
  if (!shape) throw new DataError("expected a shape for messages");
  return shape;
}

function labelSources(sources: readonly string[]): string[] {
  const short = sources.map((source) =>
    basename(source.replace(/^hf:/, "").replace(/[@:].*$/, "")).replace(/\..*$/, ""),
  );
  return sources.map((source, i) =>
    short[i] === "" || short.indexOf(short[i]!) !== short.lastIndexOf(short[i]!) ? source : short[i]!,
  );
}
