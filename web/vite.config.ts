import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

/*
 * The page as one script and one style sheet, which `src/page/html.ts` puts into one HTML file.
 */
const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url));

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
          name: "third-party licences", // go with the script, since every report is a copy of it
          generateBundle(_, bundle) {
            for (const chunk of Object.values(bundle)) {
              if (chunk.type !== "chunk") continue;
              const packages = new Set(
                chunk.moduleIds.flatMap((id) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id)?.[1] ?? []),
              );
              const texts = [...packages].sort().map((name) => `${name}\n\n${licenceOf(name)}`);
              chunk.code += `\n/*\n${texts.join("\n----\n\n").replaceAll("*/", "* /")}\n*/\n`;
            }
          },
        },
      ],
    },
  },
});

function licenceOf(name: string): string {
  const place = folder(`../node_modules/${name}`);
  const file = readdirSync(place).find((entry) => /^licen[cs]e/i.test(entry));
  if (file === undefined) throw new Error(`${name}: expected a licence in its package, found none`);
  return readFileSync(`${place}/${file}`, "utf8").trim();
}
