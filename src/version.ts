import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageFolder } from "./package-folder.ts";

const own = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8")) as { version: string }; // our own package.json

/** The version of this package. */
export const version = own.version;
