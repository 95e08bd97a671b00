import { readFileSync } from "node:fs";

const { version: ownVersion } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }; // our own package.json

/** The version of this package. */
export const version = ownVersion;
