import { defineConfig } from "vitest/config";

/*
 * Several machines, as processes of this one: `npm run test:cluster`. uv installs PyTorch and Ray; Slurm is skipped where it is not
 * installed.
 */
export default defineConfig({
  test: {
    include: ["test/cluster/*.cluster-test.ts"],
    globalSetup: "test/helpers/build.ts",
    testTimeout: 900_000,
    hookTimeout: 900_000,
    expect: { poll: { timeout: 300_000, interval: 500 } }, // what is waited for comes, on a loaded machine later
    maxWorkers: 1, // each training takes all cores
    reporters: ["default", "./test/helpers/count-reporter.ts"],
  },
});
