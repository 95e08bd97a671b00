import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { drawMap } from "../scripts/map-svg.ts";
import { findCircles, findUpward, layers, readStructure } from "../scripts/structure.ts";
import { packageFolder } from "../src/package-folder.ts";

const files = readStructure();

test("every folder has a layer, and no import runs upward", () => {
  const folders = new Set(files.map(({ folder }) => folder));
  expect([...folders].toSorted()).toEqual(layers.flat().toSorted());
  expect(findUpward(files)).toEqual([]);
});

test("no files import each other in a circle", () => {
  expect(findCircles(files)).toEqual([]);
});

test("no file has over 400 lines, and none over 300 without saying why at its head", () => {
  const long = files.filter(({ lines, hasHead }) => lines > 400 || (lines > 300 && !hasHead));
  expect(long.map(({ path, lines }) => `${path}: ${lines}`)).toEqual([]);
});

test("the map is drawn from the imports of today: node scripts/draw-map.ts", () => {
  const drawn = readFileSync(join(packageFolder, "docs", "map.svg"), "utf8");
  const shapeOf = (svg: string) => svg.replaceAll(/\d[\d,.]* (files|lines|imports)|stroke-width="[\d.]+"/g, "");
  expect(shapeOf(drawn)).toBe(shapeOf(drawMap(files)));
});
