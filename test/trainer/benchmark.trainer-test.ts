import { execFileSync } from "node:child_process";
import { cpSync, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BenchmarkSummary } from "../../src/run/records/benchmarks.ts";
import { uvRun } from "../../src/python/uv.ts";
import { alpagasus, startAlpagasus } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { pythonEnvironment } from "../helpers/python-environment.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";
import { serveAsVllm } from "./serve-as-vllm.ts";
import { trainerPython } from "../helpers/trainer-python.ts";

/* Benchmarks by the real harness, on tasks over local files and tiny models. */

const here = fileURLToPath(new URL("./", import.meta.url));
const requirements = fileURLToPath(new URL("../../python/requirements-benchmark.txt", import.meta.url));
const colours = ["red", "blue", "green", "black", "white", "pink", "brown", "grey", "gold", "cyan"];

let folder: TempFolder;
/** The newest file of a model and task, whatever its settings. */
const at = (start: string, ending: string) => {
  const place = `${folder.path}/runs/default/benchmarks`;
  const names = existsSync(place) ? readdirSync(place) : [];
  const own = names
    .filter((name) => name.startsWith(`${start}.`) && name.endsWith(ending))
    .map((name) => `${place}/${name}`);
  return own.toSorted((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0] ?? `${place}/none`;
};

interface Item {
  readonly item: number;
  readonly promptHash: string;
  readonly value: number;
  readonly replies: unknown;
}

beforeAll(() => {
  folder = tempFolder();
  const rows = colours.map((colour, i) => ({
    instruction: `Name a ${colour} thing.`,
    input: "",
    output: `A hat, ${i}.`,
  }));
  folder.write("rows.json", rows);
  folder.write(
    "others.json",
    rows.map((row) => ({ ...row, output: `${row.output} It is ${row.instruction}` })),
  );
  trainerPython(`${here}tiny.py`, ["rows.json", "one"], "", folder.path);
  trainerPython(`${here}tiny.py`, ["others.json", "two"], "", folder.path);
  const questions = Array.from({ length: 40 }, (_, i) => ({
    question: `Name a ${colours[i % 10]} thing.`,
    choices: [0, 3, 5, 8].map((step) => colours[(i + step) % 10]!),
    answer: 0,
  }));
  folder.write("tasks/colours.jsonl", questions.map((question) => JSON.stringify(question)).join("\n"));
  const task = (name: string, more: string) =>
    folder.write(
      `tasks/${name}.yaml`,
      `task: ${name}
dataset_path: json
dataset_kwargs: { data_files: { test: "${folder.path}/tasks/colours.jsonl" } }
test_split: test
doc_to_text: "{{question}}\\nAnswer:"
metadata: { version: 1.0 }
${more}`,
    );
  task(
    "pick",
    'output_type: multiple_choice\ndoc_to_choice: "{{choices}}"\ndoc_to_target: answer\nmetric_list: [{ metric: acc }, { metric: acc_norm }]\n',
  );
  const generated =
    'output_type: generate_until\ndoc_to_target: "{{choices[answer]}}"\ngeneration_kwargs: { until: ["\\n"], max_gen_toks: 8, do_sample: false }\n';
  const exact = "metric_list: [{ metric: exact_match, aggregation: mean, higher_is_better: true }]\n";
  task("say", generated + exact);
  task("code", `${generated}${exact}unsafe_code: true\n`);
});
afterAll(() => folder[Symbol.dispose]());

const command = (tasks: string, ...more: string[]) => [
  "benchmark",
  "--models",
  "one",
  "two",
  "--tasks",
  tasks,
  "--include",
  "tasks",
  "--json",
  ...more,
];
const options = () => ({ cwd: folder.path, env: pythonEnvironment });

describe("benchmark", () => {
  test("killed in the middle, it keeps what is complete, leaves no process, and goes on", async () => {
    const started = startAlpagasus(command("pick,say"), options());
    await expect.poll(() => existsSync(at("one.pick", ".json")), { timeout: 300_000 }).toBe(true);
    started.kill("SIGKILL");
    await started.ended;
    const kept = readFileSync(at("one.pick", ".jsonl"), "utf8");
    const { code, stdout, stderr } = await alpagasus(command("pick,say"), options());
    expect([code, stderr.split("\n").filter((line) => line.startsWith("alpagasus:"))]).toEqual([0, []]);
    expect(readFileSync(at("one.pick", ".jsonl"), "utf8")).toBe(kept);
    const [pick, say] = JSON.parse(stdout) as [BenchmarkSummary, BenchmarkSummary];
    expect([pick.models.map(({ items }) => items), pick.metric, say.metric]).toEqual([[40, 40], "acc", "exact_match"]);
    for (const { harnessValue, value } of [...pick.models, ...say.models])
      expect(value.value).toBeCloseTo(harnessValue!, 9);
    expect(pick.differences).toMatchObject([{ a: "one", b: "two", items: 40, trainings: 1, test: "exact" }]);
    expect(readdirSync(`${folder.path}/runs/default/benchmarks`).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("its items are the harness's own, one by one", () => {
    const run = (task: string) => {
      const model = "--model hf --model_args pretrained=two,dtype=float32 --device cpu --batch_size 8 --seed 42";
      const place = `--tasks ${task} --include_path tasks --output_path own-${task} --log_samples`;
      execFileSync("uv", uvRun(["lm_eval", "run", ...`${model} ${place}`.split(" ")], { requirements }), {
        cwd: folder.path,
        env: { PATH: process.env["PATH"]!, ...pythonEnvironment },
        stdio: "ignore",
      });
    };
    run("pick");
    const place = readdirSync(`${folder.path}/own-pick`, { recursive: true, encoding: "utf8" }).find((name) =>
      name.endsWith(".jsonl"),
    )!;
    const theirs = parseLines<{ doc_id: number; acc: number; prompt_hash: string; resps: unknown }>(
      readFileSync(`${folder.path}/own-pick/${place}`, "utf8"),
    ).toSorted((a, b) => a.doc_id - b.doc_id);
    const ours = parseLines<Item>(readFileSync(at("two.pick", ".jsonl"), "utf8"));
    expect(ours.map(({ item, value, promptHash }) => ({ item, value, promptHash }))).toEqual(
      theirs.map(({ doc_id: item, acc: value, prompt_hash: promptHash }) => ({ item, value, promptHash })),
    );
    const numbers = (text: unknown) => [...String(text).matchAll(/-?\d+\.\d+/g)].map(Number);
    expect(ours.map(({ replies }) => numbers(replies))).toEqual(theirs.map(({ resps }) => numbers(resps)));
  });

  test("of a served model are those of the model, item by item; no key goes to it", async () => {
    await using server = await serveAsVllm("two", folder.path);
    const { address } = server;
    const served = `${address}#served`;
    const run = (...args: string[]) =>
      alpagasus(["benchmark", "--models", served, "--include", "tasks", "--json", ...args], {
        cwd: folder.path,
        env: { ...pythonEnvironment, OPENAI_API_KEY: "sk-must-not-go-there" },
      });
    const { code, stderr } = await run("--tasks", "pick,say", "--tokenizer", "two");
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.anything() });
    const name = served.replaceAll(/[^\w.-]+/g, "-");
    for (const task of ["pick", "say"]) {
      const read = (model: string) =>
        parseLines<Item>(readFileSync(at(`${model}.${task}`, ".jsonl"), "utf8"))
          .map(({ item, value }) => [item, value])
          .toSorted(([a], [b]) => Number(a) - Number(b));
      expect(read(name)).toEqual(read("two"));
    }
    const without = await run("--tasks", "pick", "--limit", "3");
    expect([without.code, without.stderr]).toEqual([
      2,
      expect.stringContaining("wants the model's own tokenizer: --tokenizer FOLDER"),
    ]);
    const other = await alpagasus(["benchmark", "--models", `${address}#other`, "--tasks", "say"], options());
    expect([other.code, other.stderr]).toEqual([2, expect.stringContaining('(served), got "other"')]);
  });

  test("another model costs its own run alone; the same one with other weights is run again", async () => {
    cpSync(`${folder.path}/one`, `${folder.path}/three`, { recursive: true });
    cpSync(`${folder.path}/two`, `${folder.path}/one`, { recursive: true });
    const before = statSync(at("two.pick", ".jsonl")).mtimeMs;
    const more = ["benchmark", "--models", "one", "two", "three", "--tasks", "pick", "--include", "tasks", "--json"];
    const { code, stdout } = await alpagasus(more, options());
    expect(code).toBe(0);
    const [{ models, differences }] = JSON.parse(stdout) as [BenchmarkSummary];
    expect(models[0]!.value).toEqual(models[1]!.value); // they are the same model now
    expect(differences.map(({ a, b, difference }) => [a, b, difference.value])).toEqual([
      ["one", "two", 0],
      ["one", "three", expect.any(Number)],
    ]);
    expect(statSync(at("two.pick", ".jsonl")).mtimeMs).toBe(before);
  });

  test("tasks that are not there, and code, are one line", async () => {
    const lines = async (...args: string[]) => {
      const { code, stderr } = await alpagasus(args, options());
      return [code, stderr.trim().split("\n").at(-1)];
    };
    expect(await lines(...command("pik"))).toEqual([
      2,
      expect.stringContaining(
        "alpagasus: --tasks: expected a task of lm-evaluation-harness or of --include, got 'pik'; near it are pick",
      ),
    ]);
    expect(await lines(...command("code"))).toEqual([
      2,
      "alpagasus: code: it runs code that the model writes; give --allow-code (in a recipe allow_code: true) in a container, or leave it out",
    ]);
    expect(await lines(...command("pick,pick"))).toEqual([
      2,
      "alpagasus: --tasks: expected each task once, got pick again",
    ]);
    expect(await lines(...command("pick:x"))).toEqual([2, expect.stringContaining("as in mmlu,drop:3")]);
  });
});
