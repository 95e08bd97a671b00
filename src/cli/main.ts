#!/usr/bin/env node
import * as nodeModule from "node:module"; // as a whole: an older Node lacks some of its names
import { setFlagsFromString } from "node:v8";
/*
 * The command line begins here. The version of Node is checked before anything is loaded that an older one cannot read.
 */
const wanted = [22, 19] as const;
const nurseryGrowthMs = 250;
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

if (major < wanted[0] || (major === wanted[0] && minor < wanted[1])) {
  console.error(
    `alpagasus: expected Node ${wanted.join(".")} or later, got ${process.versions.node}; install a newer one`,
  );
  process.exitCode = 2;
} else {
  silenceSqliteWarning();
  // Rows die young, and a nursery that grows only holds more dead ones: after the first moments, which it speeds up, it stops growing.
  setTimeout(() => setFlagsFromString("--semi-space-growth-factor=1"), nurseryGrowthMs).unref();
  nodeModule.enableCompileCache(); // what was compiled once is read from a cache the next time
  const { runCommandLine } = await import("./program.ts");
  process.exitCode = await runCommandLine(process.argv.slice(2));
}

/** Node's SQLite works; that its interface may still change is our business, and not worth two lines on every run. */
function silenceSqliteWarning(): void {
  const emit = process.emitWarning.bind(process);
  process.emitWarning = (warning: string | Error, ...rest: unknown[]) => {
    if (/sqlite/i.test(String(warning))) return;
    (emit as (warning: string | Error, ...rest: unknown[]) => void)(warning, ...rest); // its forms differ in what follows
  };
}
