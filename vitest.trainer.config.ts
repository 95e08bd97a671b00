import { defineConfig } from "vitest/config";

/*
 * The trainer's own suite: `npm run test:trainer`. It installs PyTorch through uv and trains for real.
 */
export default defineConfig({
  test: {
    include: ["test/trainer/*.trainer-test.ts"],
    testTimeout: 600_000,
    hookTimeout: 600_000,
    maxWorkers: 1, // each training takes all cores
    reporters: ["default", "./test/helpers/count-reporter.ts"],
  },
});
