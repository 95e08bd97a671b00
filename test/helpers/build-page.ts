import { fileURLToPath } from "node:url";
import { build } from "vite";

/** Builds the page before the tests, so that they see it as its sources are now. */
export default async function buildPage(): Promise<void> {
  await build({ configFile: fileURLToPath(new URL("../../web/vite.config.ts", import.meta.url)) });
}
