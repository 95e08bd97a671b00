import { defineConfig } from "vitest/config";

/* Real servers of models: `npm run test:servers`. uv installs them; what has no wheel for this machine is skipped. */
export default defineConfig({
  test: {
    include: ["test/servers/*.server-test.ts"],
    globalSetup: "test/helpers/build.ts",
    testTimeout: 600_000,
    hookTimeout: 600_000,
    maxWorkers: 1,
    reporters: ["default", "./test/helpers/count-reporter.ts"],
  },
});
