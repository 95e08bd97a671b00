import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { openLedger } from "../../src/experiment/ledger.ts";
import { runTasks } from "../../src/experiment/schedule.ts";
import type { Task } from "../../src/experiment/task.ts";
import { runFolder } from "../../src/run/run-folder.ts";
import { misuse } from "../helpers/command-line.ts";
import { freePort } from "../helpers/free-port.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

describe("tasks on a cluster", () => {
  test("run side by side as far as it has room, in their order, and one that fails stops those that need it alone", async () => {
    using folder = tempFolder();
    let taken = 0;
    let most = 0;
    const begun: string[] = [];
    const taking = new Map<string, number>();
    const task = (id: string, size: number, needs: string[] = [], fails = false): Task => {
      taking.set(id, size);
      return {
        id,
        stage: "train",
        needs,
        resource: "cluster",
        needsUv: false,
        inputs: async () => ({}),
        output: async () => id,
        async run() {
          begun.push(id);
          most = Math.max(most, (taken += size));
          await delay(30);
          taken -= size;
          if (fails) throw new Error("out of memory");
          return { gates: [] };
        },
      };
    };
    const tasks = [
      task("a", 4),
      task("b", 4, [], true),
      task("c", 8),
      task("d", 2, ["b"]),
      task("e", 2, ["a"]),
      task("f", 0),
    ];
    const ledger = await openLedger(runFolder(folder.path));
    const results = await runTasks(tasks, { ledger, cluster: { places: 8, sizes: taking } });
    expect(most).toBe(8);
    expect(begun.slice(0, 3)).toEqual(["a", "b", "f"]); // c waits for all 8
    expect(Object.fromEntries([...results].map(([id, { state }]) => [id, state]))).toEqual({
      a: "done",
      b: "failed",
      c: "done",
      d: "not begun",
      e: "done",
      f: "done",
    });
  });

  test("a recipe whose cluster does not answer is told of in its plan, and starts nothing", async () => {
    using folder = tempFolder();
    const address = `http://127.0.0.1:${await freePort()}`;
    folder.write(
      "rows.json",
      Array.from({ length: 20 }, (_, i) => ({ instruction: `Name ${i}`, input: "", output: `It is ${i}.` })),
    );
    const write = (on: unknown) =>
      folder.write(
        "recipe.yaml",
        stringify({
          name: "far",
          on,
          data: "rows.json",
          rate: { judge: "student" },
          arms: { selected: { top: 5 } },
          train: { recipe: "paper-7b" },
        }),
      );
    const run = async (...more: string[]) => {
      const { code, stdout, stderr } = await misuse(["run", "recipe.yaml", ...more], { cwd: folder.path });
      return { code, stdout, stderr: stderr.trim() };
    };
    write(`ray:${address}`);
    const planned = await run("--dry-run");
    expect(planned.code).toBe(0);
    expect(planned.stdout).toContain(`note: ${address}: expected a Ray cluster's dashboard, none answers`);
    expect(await run()).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`${address}: expected a Ray cluster's dashboard, none answers`),
    });
    write("head:8265");
    expect((await run("--dry-run")).stderr).toBe(
      'alpagasus: recipe.yaml:2: on: expected ray: and the address of a Ray cluster\'s dashboard, as in ray:http://head:8265, got "head:8265"',
    );
    write({ ray: address, gpu: 4 });
    expect((await run("--dry-run")).stderr).toBe(
      "alpagasus: recipe.yaml:4: on: expected gpus, got gpu (the fields are ray, gpus, cpus, replicas, storage)",
    );
  });
});
