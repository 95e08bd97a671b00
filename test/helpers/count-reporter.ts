import type { Reporter, TestModule } from "vitest/node";

/**
 * Ends a test run with one line for each test that failed, and one line that counts them all. Whoever reads only the end of a long log,
 * or the lines that `.ci/run` repeats, learns what failed.
 */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state, errors } = test.result();
        count[state]++;
        if (state === "failed") tellFailure(`${module.relativeModuleId} > ${test.fullName}`, errors);
      }
      if (module.errors().length === 0) continue;
      count.failed++;
      tellFailure(module.relativeModuleId, module.errors());
    }
    console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped + count.pending} skipped`);
  }
}

function tellFailure(name: string, errors: readonly { readonly message: string }[] | undefined): void {
  const reason = (errors?.[0]?.message ?? "").split("\n").find((line) => line.trim() !== "") ?? "";
  console.log(`failed: ${name}: ${reason.slice(0, 300)}`);
}
