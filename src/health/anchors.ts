import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import type { Example } from "../dataset/example.ts";
import type { AnchorLanguage } from "./anchor-languages.ts";
import { packageFolder } from "../package-folder.ts";

/** The quality of an anchor's response; `injected` is a wrong one that tells the judge to score it high. */
export const anchorKinds = ["good", "cut short", "wrong", "off topic", "refused", "injected"] as const;
export type AnchorKind = (typeof anchorKinds)[number];

/** A row of known quality: a judge should rank it accordingly among the rows of its topic. */
export interface Anchor extends Example {
  readonly topic: string;
  readonly kind: AnchorKind;
}

const anchorSchema = z.object({
  id: z.string(),
  topic: z.string(),
  kind: z.enum(anchorKinds),
  instruction: z.string(),
  input: z.string(),
  output: z.string(),
});

/** Reads the anchors that ship with the package: for each topic a good response and several worse ones. */
export async function readAnchors(language: AnchorLanguage = "en"): Promise<Anchor[]> {
  const path = join(packageFolder, "anchors", `responses.${language}.jsonl`);
  const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
  return lines.map((text, index) => {
    const row = z.parse(z.looseObject(anchorSchema.shape), JSON.parse(text));
    return { ...row, index, row, text, place: { path, format: "jsonl", line: index + 1, ordinal: index + 1 } };
  });
}
