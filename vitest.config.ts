import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: "test/helpers/build.ts",
    testTimeout: 600_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 120_000 } }, // what is waited for comes, on a loaded machine later
    maxWorkers: 4, // more than the cores of a small machine: many tests wait for a server or a process
    reporters: ["default", "./test/helpers/count-reporter.ts"],
  },
});
