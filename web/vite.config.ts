import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

/*
 * The page as one script and one style sheet, which `src/page/html.ts` puts into one HTML file.
 */
const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const bundled = ["preact", "@observablehq/plot", "d3", "diff"];

export default defineConfig({
  root: folder("."),
  logLevel: "warn",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: folder("../dist/web"),
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    cssCodeSplit: false, // else a script of this kind carries its style inside
    chunkSizeWarningLimit: 1_000,
    rolldownOptions: {
      input: folder("src/main.tsx"),
      output: { format: "iife", entryFileNames: "page.js", assetFileNames: "page[extname]" },
      plugins: [
        {
          name: "third-party licences",
          generateBundle() {
            const texts = bundled.map(
              (name) => `${name}\n\n${readFileSync(folder(`../node_modules/${name}/LICENSE`), "utf8")}`,
            );
            this.emitFile({ type: "asset", fileName: "THIRD-PARTY-LICENSES.txt", source: texts.join("\n----\n\n") });
          },
        },
      ],
    },
  },
});
