import { readFileSync } from "node:fs";
import { defineConfig } from "rolldown";

/*
 * The command line as a few files: it starts in half the time that some two hundred modules take. The library is not
 * bundled; `tsc` compiles it file by file.
 */
const bundled = ["commander", "csv-parse", "zod"];

export default defineConfig({
  input: { alpagasus: "src/cli/main.ts" },
  platform: "node",
  transform: { target: "node22.19" }, // the oldest that package.json allows
  // large, and seldom needed
  external: [
    /^@ai-sdk\//,
    "@duckdb/node-api",
    "@hono/node-server",
    "@huggingface/hub",
    "@huggingface/jinja",
    "@pydantic/genai-prices",
    "hono",
    "undici",
    "yaml",
  ],
  output: { dir: "dist/bin", format: "esm", chunkFileNames: "[name].js", cleanDir: true },
  plugins: [
    {
      name: "third-party licences",
      generateBundle() {
        const texts = bundled.map((name) => `${name}\n\n${readFileSync(`node_modules/${name}/LICENSE`, "utf8")}`);
        this.emitFile({ type: "asset", fileName: "THIRD-PARTY-LICENSES.txt", source: texts.join("\n----\n\n") });
      },
    },
  ],
});
