import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The folder of this package, whether the code runs from its sources, compiled, or bundled. */
export const packageFolder = findPackageFolder();

function findPackageFolder(): string {
  let folder = new URL("./", import.meta.url);
  while (!existsSync(new URL("package.json", folder))) folder = new URL("../", folder);
  return fileURLToPath(folder);
}
