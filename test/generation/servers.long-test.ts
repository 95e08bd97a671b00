import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { endOrphans, markVariable, newMark } from "../../src/generation/server-record.ts";
import { listGroup, watched } from "../../src/python/process-group.ts";
import type { AnswersSummary } from "../../src/run/records/answers.ts";
import { startAlpagasus, type CommandResult } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { writeStandInUv } from "../helpers/stand-in-uv.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";
import { thisProcess } from "../../src/process-identity.ts";

function readAnswers(folder: TempFolder, name: string): { readonly output: string | null }[] {
  return parseLines(readFileSync(join(folder.path, `runs/default/answers/${name}.jsonl`), "utf8"));
}

const summaryOf = ({ stdout }: CommandResult) => JSON.parse(stdout) as AnswersSummary;

const prompts = Array.from({ length: 8 }, (_, i) => ({ id: i, set: "mine", instruction: `Question ${i}?` }));

describe("generate by a model of this machine", () => {
  /** A folder with a model, and what runs generate there with a stand-in for uv. */
  function openModelFolder(): TempFolder & {
    generate: (standIn: string, ...args: string[]) => ReturnType<typeof startAlpagasus>;
  } {
    const folder = tempFolder();
    folder.write("mine.json", prompts);
    folder.write("model/config.json", {});
    const PATH = `${writeStandInUv(folder)}:${process.env["PATH"]}`;
    return Object.assign(folder, {
      generate: (standIn: string, ...args: string[]) =>
        startAlpagasus(["generate", "--model", "model", "--tests", "mine.json", "--json", ...args], {
          cwd: folder.path,
          env: {
            PATH,
            STAND_IN: standIn,
            STAND_IN_MS: standIn === "slow" ? "2000" : "100",
            http_proxy: "http://127.0.0.1:9",
          },
        }),
    });
  }
  const processesOf = (folder: TempFolder) =>
    readdirSync("/proc")
      .filter((entry) => /^\d+$/.test(entry))
      .filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(folder.path);
        } catch {
          return false; // it has ended, or is somebody else's
        }
      });

  test("starts its server, asks it past any proxy, stops it, and needs none when all is answered", async () => {
    using folder = openModelFolder();
    const first = await folder.generate("").ended;
    expect([first.code, first.stderr]).toEqual([0, ""]);
    expect(summaryOf(first)).toMatchObject({
      sets: [{ set: "mine", answered: 8 }],
      server: { parity: "not compared with training: it was not trained by alpagasus train" },
    });
    expect(readAnswers(folder, "model")[1]!.output).toBe("Answer to Question 1?");
    await expect.poll(() => processesOf(folder), { timeout: 20_000 }).toEqual([]);
    expect(summaryOf(await folder.generate("dies at first").ended).calls).toMatchObject({ made: 0, stored: 8 });
  });

  test.each(["dies at first", "dies later"])(
    "a server that %s is told of in its own words, and goes on",
    async (standIn) => {
      using folder = openModelFolder();
      const { code, stdout, stderr } = await folder.generate(standIn).ended;
      expect(code).toBe(1);
      expect(stdout + stderr).toMatch(
        /served\/model\.log: the server ended with code 1: torch\.OutOfMemoryError.*--endpoint/,
      );
      const again = await folder.generate("").ended;
      expect([again.code, summaryOf(again).sets[0]]).toMatchObject([0, { answered: 8, pending: 0 }]);
    },
  );

  test.each(["SIGINT", "SIGKILL"] as const)(
    "%s leaves no server, even one that does not answer to being asked",
    async (signal) => {
      using folder = openModelFolder();
      const running = folder.generate("ignores TERM", "--concurrency", "1");
      await expect
        .poll(() => existsSync(join(folder.path, ".alpagasus/calls.sqlite-wal")), { timeout: 20_000 })
        .toBe(true);
      await expect.poll(() => processesOf(folder).length, { timeout: 20_000 }).toBeGreaterThan(0);
      await new Promise((resolve) => setTimeout(resolve, 300));
      running.kill(signal);
      await running.ended;
      await expect.poll(() => processesOf(folder), { timeout: 25_000 }).toEqual([]);
      expect((await folder.generate("").ended).code).toBe(0);
      expect(readdirSync(join(folder.path, "runs/default")).filter((name) => name.startsWith("server."))).toEqual([]);
    },
  );

  test("one process at a time answers under a name", async () => {
    using folder = openModelFolder();
    const running = folder.generate("slow");
    await expect
      .poll(() => existsSync(join(folder.path, "runs/default/answers/model.jsonl.pid")), { timeout: 20_000 })
      .toBe(true);
    const other = await folder.generate("").ended;
    expect([other.code, other.stderr]).toEqual([
      2,
      expect.stringMatching(/answers that no other process is writing, process \d+ does/),
    ]);
    expect((await running.ended).code).toBe(0);
  });

  test("what transformers serve cannot do is said before", async () => {
    using folder = openModelFolder();
    const { code, stderr } = await folder.generate("", "--temperature", "0.7").ended;
    expect([code, stderr]).toEqual([2, expect.stringContaining("transformers serve gives no others")]);
  });
});

describe("servers that were left over", () => {
  const deadPid = 2 ** 22 - 7; // beyond what this system counts to, or at least nobody's

  /** A group that is marked; its first process is gone where it is an orphan, as after kill -9 of its owner. */
  function startSleeper(mark: string): { pid: number; end: () => void } {
    const stubborn = ["sh", "-c", "trap '' TERM; sleep 300"];
    const child = spawn("sh", watched(mark.startsWith("alpagasus") ? stubborn : ["sleep", "300"]), {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
      env: { ...process.env, [markVariable]: mark },
    });
    return { pid: child.pid!, end: () => child.stdin.destroy() };
  }

  test("are ended when their owner is dead and they are known by their mark, and no others", async () => {
    using folder = tempFolder();
    const marks = [newMark(), newMark(), newMark()];
    const [orphan, owned, stranger] = [startSleeper(marks[0]!), startSleeper(marks[1]!), startSleeper("somebody's")];
    process.kill(orphan.pid, "SIGKILL"); // its first process only
    await new Promise((resolve) => setTimeout(resolve, 200));
    const dead = { ...thisProcess, pid: deadPid };
    folder.write(`server.${marks[0]}.json`, { pid: orphan.pid, owner: dead, mark: marks[0] });
    folder.write(`server.${marks[1]}.json`, { pid: owned.pid, owner: thisProcess, mark: marks[1] });
    folder.write(`server.${marks[2]}.json`, { pid: stranger.pid, owner: dead, mark: marks[2] });
    // records that somebody else made: an empty mark is in every environment
    folder.write(`server.${newMark()}.json`, { pid: stranger.pid, owner: dead, mark: "" });
    folder.write(`server.${newMark()}.json`, { pid: 1, owner: dead, mark: marks[2] });
    expect(await endOrphans({ folder: folder.path })).toBe(1);
    await expect.poll(() => listGroup(orphan.pid), { timeout: 20_000 }).toEqual([]);
    expect([owned, stranger].map(({ pid }) => listGroup(pid).length > 0)).toEqual([true, true]);
    expect(readdirSync(folder.path)).toEqual([`server.${marks[1]}.json`]);
    for (const { pid, end } of [owned, stranger]) {
      end(); // as when whoever started them is gone
      await expect.poll(() => listGroup(pid), { timeout: 20_000 }).toEqual([]);
    }
  });
});
