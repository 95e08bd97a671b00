#!/usr/bin/env node
import * as nodeModule from "node:module"; // not by name: an older Node lacks some of its exports
import { setFlagsFromString } from "node:v8";
/*
 * Entry point of the command line. It checks Node's version before loading anything that an older Node cannot parse.
 */
const wanted = [22, 19] as const;
const nurseryGrowthMs = 250;
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

if (major < wanted[0] || (major === wanted[0] && minor < wanted[1])) {
  console.error(
    `alpagasus: expected Node ${wanted.join(".")} or later, got ${process.versions.node}; install a newer one`,
  );
  process.exitCode = 2;
} else if (/^(-V|--version)$/.test(process.argv.slice(2).join(" "))) {
  console.log((await import("../version.ts")).version); // without loading any command
} else {
  silenceSqliteWarning();
  // Rows are short-lived, so a larger young generation of V8's heap only holds more garbage. Growing speeds up the start,
  // then it is stopped.
  setTimeout(() => setFlagsFromString("--semi-space-growth-factor=1"), nurseryGrowthMs).unref();
  nodeModule.enableCompileCache(); // later starts read compiled code from a cache
  const { runCommandLine } = await import("./program.ts");
  process.exitCode = await runCommandLine(process.argv.slice(2));
  const { hasAbandonedDuckDb } = await import("../dataset/duckdb.ts"); // small: DuckDB itself is loaded where it is used
  if (hasAbandonedDuckDb()) {
    for (const stream of [process.stdout, process.stderr]) await new Promise((resolve) => stream.write("", resolve));
    endNow(); // SQL that cannot be stopped is given up
  }
}

/** Ends this process at once. Node's own exit waits for threads that work, so another program takes the process's place, and ends. */
function endNow(): void {
  const code = Number(process.exitCode ?? 0);
  if (process.platform !== "win32" && typeof process.execve === "function") {
    process.emitWarning = () => {}; // that it is experimental
    process.execve("/bin/sh", ["sh", "-c", `exit ${code}`], {});
  }
  process.exit(code);
}

/** Hides Node's warning that its SQLite interface may change: it does not concern users. */
function silenceSqliteWarning(): void {
  const emit = process.emitWarning.bind(process);
  process.emitWarning = (warning: string | Error, ...rest: unknown[]) => {
    if (/sqlite/i.test(String(warning))) return;
    (emit as (warning: string | Error, ...rest: unknown[]) => void)(warning, ...rest); // the overloads differ in the rest
  };
}
