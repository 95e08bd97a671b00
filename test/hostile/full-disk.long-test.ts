import { execFile, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { alpagasus, alpagasusPath } from "../helpers/command-line.ts";
import { startBatchServer } from "../helpers/batch-server.ts";
import { startModelServer } from "../helpers/model-server.ts";
import { rateRows } from "../helpers/rating.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

const mount = (size: string) => `mount -t tmpfs -o size=${size} tmpfs disk`;
const canMount = spawnSync("unshare", ["-rm", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"]).status === 0;

/** Runs commands where `disk` is a file system of so many megabytes. */
async function onDisk(folder: string, size: string, commands: string): Promise<{ code: number; said: string }> {
  const script = `mkdir -p disk && ${mount(size)} && ${commands}`;
  const result = await promisify(execFile)("unshare", ["-rm", "sh", "-c", script], { cwd: folder }).then(
    ({ stdout, stderr }) => ({ code: 0, said: stdout + stderr }),
    ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({ code, said: stdout + stderr }),
  );
  return result;
}

const rows = Array.from({ length: 600 }, (_, i) => ({
  instruction: `Name the number ${i}.`,
  input: "",
  output: `${i}`,
}));
const command = (judge: string) =>
  [process.execPath, alpagasusPath, ...rateRows(judge, "--store", "disk/calls.sqlite", "--concurrency", "16")].join(
    " ",
  );

test.skipIf(!canMount)(
  "a disk that becomes full: what was paid is kept, and the same command goes on elsewhere",
  async () => {
    await using server = await startModelServer({ answer: () => `4\n${"a reason ".repeat(2_000)}` });
    using folder = tempFolder();
    folder.write("rows.json", rows);
    const { code, said } = await onDisk(
      folder.path,
      "9m",
      `${command(server.judge)}; code=$?; cp disk/* .; rm calls.sqlite-spare; exit $code`,
    );
    expect([code, said]).toEqual([
      1,
      expect.stringMatching(/calls\.sqlite: the call store cannot be written .*make room/),
    ]);
    expect(said).not.toContain("could not be kept");
    const paid = server.log.length;
    expect(paid).toBeGreaterThan(50);
    expect(paid).toBeLessThan(rows.length);
    const after = await alpagasus(rateRows(server.judge, "--store", "calls.sqlite"), { cwd: folder.path });
    expect([after.code, after.stderr]).toEqual([0, expect.anything()]);
    expect([...server.replied.values()].every((times) => times === 1)).toBe(true);
    expect(server.replied.size).toBe(rows.length);
  },
);

test.skipIf(!canMount)(
  "several judges, and several processes, on a disk that becomes full: none is asked twice",
  async () => {
    await using server = await startModelServer({
      answer: () => `4\n${"a reason ".repeat(2_000)}`,
      latencyMs: (ordinal) => (ordinal % 2) * 60,
    });
    using folder = tempFolder();
    folder.write("rows.json", rows);
    const other = server.judge.replace("/v1", "/other/v1");
    for (const commands of [
      `${command(server.judge)} --judge ${other} --run a; cp disk/* .; rm -f calls.sqlite-spare`,
      `(${command(server.judge)} --run b & ${command(other)} --run c & wait); cp disk/calls.sqlite* .; rm -f calls.sqlite-spare`,
    ]) {
      server.log.length = 0;
      server.replied.clear();
      const { said } = await onDisk(folder.path, "12m", commands);
      expect(said).not.toContain("could not be kept");
      const paid = server.log.length;
      expect(paid).toBeGreaterThan(100);
      using store = new DatabaseSync(`${folder.path}/calls.sqlite`);
      expect(store.prepare("select count(*) as n from calls").get()).toEqual({ n: paid });
      for (const name of readdirSync(folder.path).filter((one) => one.startsWith("calls.sqlite")))
        rmSync(`${folder.path}/${name}`);
    }
  },
);

test("what lies where the room is kept is not touched: a link, or a folder", async () => {
  await using server = await startModelServer();
  using folder = tempFolder();
  folder.write("rows.json", rows.slice(0, 5));
  folder.write("thesis.txt", "all my work");
  symlinkSync(`${folder.path}/thesis.txt`, `${folder.path}/linked.sqlite-spare`);
  mkdirSync(`${folder.path}/beside.sqlite-spare`);
  for (const store of ["linked.sqlite", "beside.sqlite"]) {
    const { code, stderr } = await alpagasus(rateRows(server.judge, "--store", store, "--run", `runs/${store}`), {
      cwd: folder.path,
    });
    expect([code, stderr]).toEqual([0, expect.anything()]);
  }
  expect(readFileSync(`${folder.path}/thesis.txt`, "utf8")).toBe("all my work");
});

test.skipIf(!canMount)("a disk that is full already: nothing is asked", async () => {
  await using server = await startModelServer();
  using folder = tempFolder();
  folder.write("rows.json", rows);
  const { code, said } = await onDisk(folder.path, "2m", command(server.judge));
  expect([code, said]).toEqual([1, expect.stringMatching(/no space left.*make room/s)]);
  expect(server.log).toHaveLength(0);
});

test.skipIf(!canMount)(
  "a disk that is still full: the store is called neither damaged nor something else",
  async () => {
    await using server = await startModelServer({ answer: () => `4\n${"a reason ".repeat(2_000)}` });
    using folder = tempFolder();
    folder.write("rows.json", rows);
    const again = `${command(server.judge)}; dd if=/dev/zero of=disk/more bs=1k 2> dd.txt; ${command(server.judge)}`;
    const { code, said } = await onDisk(folder.path, "9m", again);
    expect([code, said]).toEqual([1, expect.stringMatching(/make room.*make room/s)]);
    expect(said).not.toContain("move it away");
  },
);

test.skipIf(!canMount)("batches on a disk that becomes full: the command ends, and says so", async () => {
  await using server = await startBatchServer();
  using folder = tempFolder();
  const many = Array.from({ length: 3_000 }, (_, i) => ({ instruction: `Name ${i}.`, input: "", output: `${i}` }));
  folder.write("rows.json", many);
  const args = rateRows("openai:gpt-4o-mini", "--store", "disk/calls.sqlite", "--batch", "--batch-size", "500");
  const assignments = Object.entries(server.environment).map(([name, value]) => `${name}=${value}`);
  const batch = [...assignments, process.execPath, alpagasusPath, ...args].join(" ");
  const { code, said } = await onDisk(folder.path, "700k", batch);
  expect([code, said]).toEqual([
    1,
    expect.stringMatching(/calls\.sqlite: the call store cannot be written .*make room/),
  ]);
  expect(said).not.toContain("unexpected error");
});
