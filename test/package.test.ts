import { execFileSync, spawnSync, type ExecFileSyncOptions } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { packageFolder } from "../src/package-folder.ts";
import { tempFolder } from "./helpers/temp-folder.ts";
import { isLong } from "./helpers/long.ts";

const nodeFirst = {
  ...process.env,
  PATH: `${dirname(process.execPath)}:${process.env["PATH"]}`,
  NODE_NO_WARNINGS: "1",
  npm_config_loglevel: "error",
};

function run(command: string, args: readonly string[], cwd: string): string {
  const options: ExecFileSyncOptions = { cwd, env: nodeFirst, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] };
  return String(execFileSync(command, args, options));
}

describe("the command line", () => {
  it("has no syntax that the oldest Node it allows cannot read", () => {
    const bundle = join(packageFolder, "dist/bin");
    for (const file of readdirSync(bundle).filter((name) => name.endsWith(".js")))
      expect(readFileSync(join(bundle, file), "utf8")).not.toMatch(/^\s*(await )?using \w+ = /m);
  });

  it("loads DuckDB, which takes time and memory, where it is asked something", () => {
    const bundle = join(packageFolder, "dist/bin");
    const importing = (name: string) =>
      readdirSync(bundle).filter((file) =>
        [`from"${name}"`, `import"${name}"`].some((words) => readFileSync(join(bundle, file), "utf8").includes(words)),
      );
    const eager = importing("@duckdb/node-api");
    expect(eager).toHaveLength(1);
    expect(importing(`./${eager[0]}`)).toEqual([]); // others load that file when they need it
  });
});

describe("the package", () => {
  it.runIf(isLong)("has declarations that a strict compiler accepts", () => {
    using folder = tempFolder();
    folder.write("tsconfig.json", {
      compilerOptions: {
        target: "es2024",
        module: "nodenext",
        strict: true,
        skipLibCheck: false,
        noEmit: true,
        types: ["node"],
        typeRoots: [join(packageFolder, "node_modules/@types")],
        lib: ["es2024", "esnext.disposable"],
      },
      files: ["index", "llm/index", "stats/index"].map((name) => join(packageFolder, "dist", `${name}.d.ts`)),
    });
    const compiler = join(packageFolder, "node_modules/typescript/bin/tsc");
    const { stdout } = spawnSync(process.execPath, [compiler, "-p", folder.path], {
      encoding: "utf8",
      cwd: folder.path,
    });
    expect(stdout.split("\n").filter((line) => line.includes("error"))).toEqual([]);
  });

  it.runIf(isLong)(
    "installs from its tarball in an empty folder and rates the sample there, as command and as library",
    { timeout: 170_000 },
    () => {
      using folder = tempFolder();
      run("npm", ["run", "prepack", "--silent"], packageFolder);
      const [packed] = JSON.parse(
        run("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", folder.path], packageFolder),
      ) as [{ filename: string; size: number; files: { path: string }[] }];
      expect(packed.size).toBeLessThan(3_000_000);
      const names = packed.files.map(({ path }) => path);
      expect(names).toEqual(
        expect.arrayContaining([
          "LICENSE",
          "NOTICE",
          "README.md",
          "dist/index.js",
          "rubrics/alpagasus-accuracy.yaml",
          "rubrics/pairwise/vicuna.yaml",
          "testsets/vicuna.jsonl",
          "dist/index.d.ts",
          "dist/bin/alpagasus.js",
          "dist/sbom.cdx.json",
          "dist/web/page.js",
          "dist/web/page.css",
          "students/gpt-4o-mini-alpaca.student",
          "students/gpt-4o-mini-alpaca.md",
        ]),
      );
      expect(names.filter((name) => /^(src|test|bench|scripts)\//.test(name))).toEqual([]);

      folder.write("package.json", { name: "empty", private: true, type: "module" });
      run(
        "npm",
        ["install", "--no-audit", "--no-fund", "--prefer-offline", join(folder.path, packed.filename)],
        folder.path,
      );
      const samples = "node_modules/alpagasus/samples";
      const rated = run(
        "npx",
        [
          "alpagasus",
          "rate",
          `${samples}/alpaca-2000.json`,
          "--against",
          `recorded:${samples}/alpaca-2000.gpt-4o-mini.json`,
        ],
        folder.path,
      );
      expect(rated).toContain("Rated 2,000 rows");
      expect(
        run("npx", ["alpagasus", "select", "--where", "score > 2 and output_length > 100", "--json"], folder.path),
      ).toContain('"arm": "selected"');
      expect(run("npx", ["alpagasus", "report"], folder.path)).toContain("runs/default/report.html");

      for (const example of readdirSync(join(packageFolder, "examples"))) {
        mkdirSync(join(folder.path, "samples"), { recursive: true });
        copyFileSync(join(packageFolder, "samples/alpaca-2000.json"), join(folder.path, "samples/alpaca-2000.json"));
        copyFileSync(join(packageFolder, "examples", example), join(folder.path, example));
        expect(run(process.execPath, [example], folder.path)).not.toBe("");
      }
    },
  );

  it("has every file that its manifest names", () => {
    const manifest = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8")) as {
      files: string[];
      bin: Record<string, string>;
    };
    const there = manifest.files.filter((name) => !name.startsWith("!")); // the others are left out
    for (const name of [...there, ...Object.values(manifest.bin)])
      expect(existsSync(join(packageFolder, name)), name).toBe(true);
    expect(statSync(join(packageFolder, "students/gpt-4o-mini-alpaca.student")).size).toBeLessThan(490_000);
  });
});
