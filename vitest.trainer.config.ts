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
    maxWorkers: 1, // each training takes all cores
    reporters: ["default", "./test/helpers/count-reporter.ts"],
  },
}));
