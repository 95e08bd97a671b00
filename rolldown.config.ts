import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig, type OutputBundle } from "rolldown";

/*
 * The command line as a few files: it starts in less than half the time that some hundreds of modules take. The library is not
 * bundled; `tsc` compiles it file by file.
 */

export default defineConfig({
  input: {
    alpagasus: "src/cli/main.ts",
    "view-worker": "src/student/view-worker.ts",
    "write-worker": "src/stages/select/write-worker.ts",
  }, // a worker is a program of its own
  platform: "node",
  transform: { target: "node22.19" }, // the oldest that package.json allows
  external: ["@duckdb/node-api", "@huggingface/hub", "@pydantic/genai-prices", "hono", "@hono/node-server"], // native, or large and seldom needed
  output: {
    dir: "dist/bin",
    format: "esm",
    chunkFileNames: "[name].js",
    cleanDir: true,
    minify: { compress: false, mangle: false, codegen: true }, // white space alone: names stay readable in stack traces
  },
  plugins: [
    {
      name: "parts of undici",
      resolveId(source) {
        if (source === "undici") return fileURLToPath(new URL("scripts/undici-parts.js", import.meta.url));
        // HTTP/2 is never spoken here (`allowH2: false`), and slow to load; the other parser is an experiment that nothing turns on
        return /^\.\/client-h2\.js$|^\.\.\/milo\//.test(source) ? "\0unused" : null;
      },
      load: (id) => (id === "\0unused" ? "module.exports = undefined;" : null),
    },
    {
      name: "third-party licences",
      generateBundle(_, bundle) {
        const texts = packagesOf(bundle).map((name) => `${name}\n\n${readLicence(`node_modules/${name}`)}`);
        this.emitFile({ type: "asset", fileName: "THIRD-PARTY-LICENSES.txt", source: texts.join("\n----\n\n") });
      },
    },
  ],
});

/** The packages whose code is in the bundle. */
function packagesOf(bundle: OutputBundle): string[] {
  const names = Object.values(bundle).flatMap((file) =>
    file.type === "chunk"
      ? Object.keys(file.modules).flatMap((id) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1] ?? [])
      : [],
  );
  return [...new Set(names)].toSorted();
}

/** The licence's text; of a package that has no file of it, what its package.json says. */
function readLicence(folder: string): string {
  if (!existsSync(folder)) throw new Error(`${folder}: expected a bundled package here, to copy its licence`);
  const file = readdirSync(folder).find((name) => /^licen[cs]e(\.|$)/i.test(name));
  if (file !== undefined) return readFileSync(`${folder}/${file}`, "utf8");
  const { license, author, repository } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8")) as Record<
    string,
    unknown
  >;
  return `${JSON.stringify({ license, author, repository }, null, 2)}\n`;
}
