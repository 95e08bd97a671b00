/*
 * The structure of `src/`, read from its imports: what the map in CONTRIBUTING.md shows and `test/structure.test.ts` holds.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { packageFolder } from "../src/package-folder.ts";

/** Folders by layer, from the top: a file imports from its own folder, and from folders of lower layers. */
export const layers: readonly (readonly string[])[] = [
  ["cli"],
  ["stages"],
  ["page", "experiment", "generation", "embedding"],
  ["judge", "trainer", "benchmark"],
  ["comparison", "selection", "escalation", "health", "curation"],
  ["rubric", "student", "likelihood", "vectors"],
  ["dataset"],
  ["run"],
  ["llm"],
  ["cluster"],
  ["stats", "python"],
  ["files"],
  ["."], // what every folder may use: errors, format, …
];

export interface SourceFile {
  /** Its path in `src/`. */
  readonly path: string;
  /** The folder of `src/` that it is in; `.` for files beside the folders. */
  readonly folder: string;
  readonly lines: number;
  /** Whether it begins with a comment, which says why it is long. */
  readonly hasHead: boolean;
  /** Paths in `src/` that it imports. */
  readonly imports: readonly string[];
}

const root = join(packageFolder, "src");
const importing = /^(?:import|export)\s[^;]*?from "(\.[^"]+)"|import\("(\.[^"]+)"\)/gm;

export function readStructure(): SourceFile[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts") && path !== "index.ts")
    .toSorted()
    .map((path) => {
      const text = readFileSync(join(root, path), "utf8");
      const found = [...text.matchAll(importing)].map(([, imported, loaded]) =>
        relative(root, resolve(dirname(join(root, path)), imported ?? loaded!)),
      );
      return {
        path,
        folder: folderOf(path),
        lines: text.trimEnd().split("\n").length,
        hasHead: text.startsWith("/*"),
        imports: [...new Set(found)],
      };
    });
}

function folderOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : ".";
}

function layerOf(folder: string): number {
  return layers.findIndex((layer) => layer.includes(folder));
}

/** Groups of files that import one another, directly or through others (Tarjan 1972). */
export function findCircles(files: readonly SourceFile[]): string[][] {
  const importsOf = new Map(files.map(({ path, imports }) => [path, imports]));
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const stack: string[] = [];
  const circles: string[][] = [];
  const visit = (path: string) => {
    order.set(path, order.size);
    lowest.set(path, order.get(path)!);
    stack.push(path);
    for (const next of importsOf.get(path) ?? []) {
      if (!importsOf.has(next)) continue;
      if (!order.has(next)) {
        visit(next);
        lowest.set(path, Math.min(lowest.get(path)!, lowest.get(next)!));
      } else if (stack.includes(next)) lowest.set(path, Math.min(lowest.get(path)!, order.get(next)!));
    }
    if (lowest.get(path) !== order.get(path)) return;
    const circle = stack.splice(stack.indexOf(path));
    if (circle.length > 1) circles.push(circle);
  };
  for (const { path } of files) if (!order.has(path)) visit(path);
  return circles;
}

/** Imports that go upward, or sideways into another folder of the same layer. */
export function findUpward(files: readonly SourceFile[]): string[] {
  const folderByPath = new Map(files.map(({ path, folder }) => [path, folder]));
  return files.flatMap(({ path, folder, imports }) =>
    imports
      .filter((imported) => {
        const other = folderByPath.get(imported);
        return other !== undefined && other !== folder && layerOf(other) <= layerOf(folder);
      })
      .map((imported) => `${path} imports ${imported}`),
  );
}
