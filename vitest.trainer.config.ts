import { defineConfig } from "vitest/config";

/*
 * The trainer's own suite: `npm run test:trainer`. It installs PyTorch through uv and trains for real. `npm run test:slow`
 * takes the tests that need many minutes, and print what they measure.
 */
export default defineConfig(({ mode }) => ({
  test: {
    include: [`test/trainer/*.${mode === "slow" ? "slow" : "trainer"}-test.ts`],
    testTimeout: mode === "slow" ? 3_600_000 : 600_000,
    hookTimeout: 600_000,
    maxWorkers: 2, // one at a time leaves a core idle
    env: { OMP_NUM_THREADS: "1" }, // so that two trainings beside each other take one each
    reporters: ["default", "./test/helpers/count-reporter.ts"],
  },
}));
