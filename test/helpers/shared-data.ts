import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe } from "vitest";

/** Published data that tests read and the package does not ship; absent in a stranger's clone. */
const folder = fileURLToPath(new URL("../../../shared/data/", import.meta.url));

/** Path of a file of the shared data. */
export function sharedData(name: string): string {
  return `${folder}${name}`;
}

export function readSharedJson(name: string): unknown {
  return JSON.parse(readFileSync(sharedData(name), "utf8"));
}

/** A suite that says it is skipped where the shared data is absent. */
export const describeWithSharedData = describe.skipIf(!existsSync(folder));
