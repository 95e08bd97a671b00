import { writeFileSync } from "node:fs";
import { experimentJsonSchema } from "../src/experiment/recipe-schema.ts";

/*
 * Writes the JSON Schema of an experiment's recipe, by which editors complete and check it.
 */
writeFileSync(
  new URL("../recipes/experiment.schema.json", import.meta.url),
  `${JSON.stringify(experimentJsonSchema(), null, 2)}\n`,
);
