import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { publicText } from "../../src/page/cards.ts";
import { alpagasus, misuse, prepare } from "../helpers/command-line.ts";
import { startHubServer, type HubServer } from "../helpers/hub-server.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

const token = "hf_thetoken";
let hub: HubServer;
let folder: TempFolder;
const env = () => ({ HF_ENDPOINT: hub.url, HF_TOKEN: token });

beforeAll(async () => {
  hub = await startHubServer(token);
  folder = tempFolder();
  folder.write(
    "secret-folder/rows.jsonl",
    Array.from({ length: 400 }, (_, i) =>
      JSON.stringify({
        instruction: `Name thing ${i}, please.`,
        input: "",
        output: `Thing ${i} is a ${"long ".repeat(i % 30)}tale.`,
      }),
    ).join("\n"),
  );
  const data = `${folder.path}/secret-folder/rows.jsonl`;
  await prepare(folder.path, ["rate", data], ["select", "--top", "30%"], ["select", "--method", "random"]);
});
afterAll(async () => {
  folder[Symbol.dispose]();
  await hub[Symbol.asyncDispose]();
});

const push = (...args: string[]) => alpagasus(["push", ...args], { cwd: folder.path, env: env() });
const lastLine = (stderr: string) => stderr.trim().split("\n").at(-1);

describe("push", () => {
  test("puts an arm there in one commit, as it is, with a card that names no folder of this machine", async () => {
    const { code, stdout } = await push("hf:me/chosen", "--arm", "selected", "--license", "cc-by-4.0");
    expect(code).toBe(0);
    expect(stdout).toMatch(/\/datasets\/me\/chosen, private: 3 files, .* commit [0-9a-f]{12}\n$/);
    const { files, isPrivate, commits } = hub.repositories.get("dataset me/chosen")!;
    expect([isPrivate, commits, [...files.keys()].toSorted()]).toEqual([
      true,
      1,
      ["README.md", "decisions.jsonl", "train.jsonl"],
    ]);
    const arm = readFileSync(`${folder.path}/runs/default/arms/selected.jsonl`);
    expect(files.get("train.jsonl")!.equals(arm)).toBe(true);
    expect(arm.length).toBeLessThan(hub.largeBytes);
    expect(files.get("decisions.jsonl")!.length).toBeGreaterThan(hub.largeBytes); // it was sent apart
    const card = files.get("README.md")!.toString();
    expect(card).toMatch(/^---\nlicense: cc-by-4\.0\npretty_name: chosen\n/);
    expect(card).toContain("data_files: train.jsonl");
    expect(card).toContain("120 of the 400 rows of `rows.jsonl` (30.0 %)");
    expect(card).toContain("The judge: student");
    expect(card).not.toContain("secret-folder");
    expect(card).not.toContain(token);
  });

  test("pushed again it is another commit; a repository by somebody else is left as it is", async () => {
    const { files } = hub.repositories.get("dataset me/chosen")!;
    files.set("train.parquet", Buffer.from("of an earlier push"));
    files.set("notes/mine.md", Buffer.from("the user's own"));
    expect((await push("hf:me/chosen", "--arm", "selected", "--license", "cc-by-4.0")).code).toBe(0);
    expect(hub.repositories.get("dataset me/chosen")!.commits).toBe(2);
    expect([files.has("train.parquet"), files.has("notes/mine.md")]).toEqual([false, true]);
    const theirs = Buffer.from("# mine\n");
    hub.repositories.set("dataset me/theirs", {
      isPrivate: false,
      files: new Map([
        ["README.md", theirs],
        ["train.csv", theirs],
      ]),
      commits: 1,
    });
    const refused = await push("hf:me/theirs", "--arm", "selected", "--license", "cc-by-4.0");
    expect([refused.code, lastLine(refused.stderr)]).toEqual([
      2,
      "alpagasus: hf:me/theirs: expected a new repository, or one that alpagasus push has written, found one with another card (README.md); name another, or replace its card with --overwrite",
    ]);
    expect(hub.repositories.get("dataset me/theirs")!.files.get("README.md")).toBe(theirs);
    expect((await push("hf:me/theirs", "--arm", "selected", "--license", "mit", "--overwrite")).code).toBe(0);
    const kept = hub.repositories.get("dataset me/theirs")!.files;
    expect([kept.has("train.jsonl"), kept.has("train.csv")]).toEqual([true, true]); // the card alone is replaced
  });

  test("the licence is that of the source on the Hub, where it is known", async () => {
    const files = new Map([
      ["README.md", Buffer.from("---\nlicense: apache-2.0\n---\n# source\n")],
      ["train.jsonl", readFileSync(`${folder.path}/secret-folder/rows.jsonl`)],
    ]);
    hub.repositories.set("dataset them/source", { isPrivate: false, files, commits: 1 });
    const run = (...args: string[]) => alpagasus([...args, "--run", "runs/hub"], { cwd: folder.path, env: env() });
    for (const args of [
      ["rate", "hf:them/source"],
      ["select", "--top", "10"],
    ])
      expect((await run(...args)).code).toBe(0);
    const { code, stdout } = await run("push", "hf:me/of-theirs", "--arm", "selected", "--dry-run");
    expect(code).toBe(0);
    expect(stdout).toContain("license: apache-2.0");
    expect(stdout).toContain("source_datasets:\n  - them/source");
    expect(stdout).toContain("[them/source](https://huggingface.co/datasets/them/source)");
    expect(hub.repositories.has("dataset me/of-theirs")).toBe(false);
  });

  test("texts of cards lose folders and servers, and keep ids of the Hub", () => {
    const texts = {
      "the 9 rows nearest to /home/alice/acme/dev.jsonl": "the 9 rows nearest to dev.jsonl",
      "recorded:clients/acme/s.jsonl#quality": "recorded:s.jsonl#quality",
      "run:runs/acme": "run:acme",
      "mean(servers:runs/a/hosts.txt#qwen3, ifd:Qwen/Qwen3-8B)": "mean(qwen3, ifd:Qwen/Qwen3-8B)",
      "http://gpu.acme.internal:8000/v1#org/m": "m",
      "http://a/v1,http://b/v1#m and openai:gpt-5": "m and openai:gpt-5",
      "asked at https://acme.example/v1": "asked at a server",
      "hf:tatsu-lab/alpaca, at least 4.5": "hf:tatsu-lab/alpaca, at least 4.5",
    };
    for (const [text, shown] of Object.entries(texts)) expect(publicText(text)).toBe(shown);
  });

  test("what cannot be is one line", async () => {
    const line = async (args: string[], environment: Record<string, string> = env()) => {
      const { code, stderr } = await misuse(["push", ...args], { cwd: folder.path, env: environment });
      return [code, lastLine(stderr)];
    };
    const arm = ["--arm", "selected"];
    const whole = ["hf:me/x", ...arm, "--license", "mit"];
    expect(await line(["hf:me/x"])).toEqual([2, expect.stringContaining("--arm, --model: expected one of them")]);
    expect(await line(["me/x", ...arm])).toEqual([
      2,
      'alpagasus: expected hf:owner/name, where it goes on the Hub, got "me/x"',
    ]);
    expect(await line(["hf:me/x", ...arm])).toEqual([
      2,
      expect.stringContaining("--license: expected the licence it may be given under"),
    ]);
    for (const name of ["selected.jsonl", "selected.decisions.jsonl"]) {
      const path = `${folder.path}/runs/default/arms/${name}`;
      const before = readFileSync(path, "utf8");
      writeFileSync(path, before.replace("a", "b")); // as long as before
      expect(await line(whole)).toEqual([
        2,
        expect.stringContaining(`${name}: expected the arm as it was selected, found it changed; select it again`),
      ]);
      writeFileSync(path, before);
    }
    expect(await line(["hf:me/x", "--arm", "none"])).toEqual([2, expect.stringContaining("(selected, random)")]);
    expect(await line(["hf:me/x", "--model", "m"])).toEqual([
      2,
      expect.stringContaining("expected a model that was trained in it (it has none)"),
    ]);
    expect(await line(whole, { HF_ENDPOINT: hub.url })).toEqual([
      2,
      expect.stringContaining("HF_TOKEN: expected a token of the Hub"),
    ]);
    expect(await line(whole, { HF_ENDPOINT: hub.url, HF_TOKEN: "hf_wrong" })).toEqual([
      2,
      expect.stringContaining("does not accept the token"),
    ]);
    hub.failing = { path: /\/commit\//, status: 500 };
    expect(await line(["hf:me/chosen", ...arm, "--license", "mit"])).toEqual([
      2,
      expect.stringMatching(/hf:me\/chosen: the Hub cannot be reached or gives an invalid answer/),
    ]);
    hub.failing = undefined;
    expect(hub.repositories.get("dataset me/chosen")!.commits).toBe(2);
  });
});
