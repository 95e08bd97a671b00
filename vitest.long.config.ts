import { defineConfig } from "vitest/config";

/* `npm run test:long`: simulations that take minutes. */
export default defineConfig({
  test: {
    include: ["test/**/*.long-test.ts"],
    testTimeout: 3_600_000,
    hookTimeout: 600_000,
    maxWorkers: 2,
    reporters: ["default", "./test/helpers/count-reporter.ts"],
  },
});
