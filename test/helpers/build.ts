import { execFileSync } from "node:child_process";
import { packageFolder } from "../../src/package-folder.ts";

/** Builds the package before the tests, once: they see it, and the page, as the sources are now, and as they are shipped. */
export default function build(): void {
  const { NODE_ENV: _, ...env } = process.env; // "test" makes a page with checks for developers in it, a tenth larger
  execFileSync("npm", ["run", "build", "--silent"], {
    cwd: packageFolder,
    stdio: ["ignore", "ignore", "inherit"],
    env,
  });
}
