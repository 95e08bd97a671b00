/*
 * Draws docs/map.svg, the folders of src/ by layer and the imports between them: `node scripts/draw-map.ts`.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { packageFolder } from "../src/package-folder.ts";
import { drawMap } from "./map-svg.ts";
import { readStructure } from "./structure.ts";

writeFileSync(join(packageFolder, "docs", "map.svg"), drawMap(readStructure()));
