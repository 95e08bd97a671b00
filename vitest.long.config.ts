import { defineConfig } from "vitest/config";

/*
 * `npm run test:long`: what takes minutes: simulations, kills, histories, and the capabilities that `npm test` passes over so that
 * it stays short. Files named *.long-test.ts run only here; the others run everywhere, and here with more (see test/helpers/long.ts).
 */
export default defineConfig({
  test: {
    include: [
      "test/**/*.long-test.ts",
      "test/cli/{compare,generate,rate-with-model,run}.test.ts",
      "test/comparison/labels.test.ts",
      "test/curation/guard.test.ts",
      "test/package.test.ts",
      "test/dataset/formats.test.ts",
      "test/hostile/files.test.ts",
      "test/judge/panel.test.ts",
      "test/llm/engine.test.ts",
      "test/page/{experiment,report}.test.ts",
      "test/stages/select.test.ts",
      "test/stats/{comparing,coverage,crossed-mean,length-controlled}.test.ts",
      "test/student/student.test.ts",
      "test/trainer/plan.test.ts",
    ],
    env: { ALPAGASUS_LONG: "1" },
    globalSetup: "test/helpers/build.ts",
    testTimeout: 3_600_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 120_000 } }, // what is waited for comes, on a loaded machine later
    maxWorkers: 2,
    reporters: ["default", "./test/helpers/count-reporter.ts"],
  },
});
