import { execFileSync } from "node:child_process";
import { packageFolder } from "../../src/package-folder.ts";

/** Builds the package before the tests, once: they see it, and the page, as the sources are now. */
export default function build(): void {
  execFileSync("npm", ["run", "build", "--silent"], { cwd: packageFolder, stdio: ["ignore", "ignore", "inherit"] });
}
