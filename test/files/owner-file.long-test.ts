import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, symlinkSync, utimesSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { own, ownerOf, waitForLock } from "../../src/files/owner-file.ts";
import { isRunning, thisHost, thisProcess, type ProcessIdentity } from "../../src/process-identity.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

const lockOf = (owner: ProcessIdentity) => JSON.stringify(owner);
/** A process that is sure to have ended: its id is in use by nobody, or by another. */
async function ended(): Promise<number> {
  const child = spawn(process.execPath, ["-e", ""]);
  await once(child, "close");
  return child.pid!;
}

describe("a process is known by host, id and start", () => {
  test("an id that another process has by now is not its own", () => {
    expect(isRunning(thisProcess)).toBe(true);
    if (process.platform === "linux") expect(isRunning({ ...thisProcess, start: "1" })).toBe(false);
  });

  test("of another host, or another container, nothing is known", () => {
    expect(isRunning({ ...thisProcess, host: "elsewhere/1/2" })).toBe(undefined);
    const [name, boot] = thisHost.split("/");
    expect(isRunning({ ...thisProcess, host: `${name}/${boot}/1` })).toBe(undefined);
  });
});

describe.concurrent("a lock", () => {
  test("is held once, also within a process, and released", async () => {
    using folder = tempFolder();
    const path = `${folder.path}/lock`;
    {
      using first = await own(path);
      expect(first).toBeDefined();
      expect(await own(path)).toBeUndefined();
      expect(ownerOf(path)).toBe(`process ${process.pid}`);
    }
    expect(existsSync(path)).toBe(false);
  });

  test("of a process that has ended is taken over at once", async () => {
    using folder = tempFolder();
    const path = folder.write("lock", lockOf({ ...thisProcess, pid: await ended(), start: "1" }));
    expect(ownerOf(path)).toBeUndefined();
    using held = await own(path);
    expect(held).toBeDefined();
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject(thisProcess);
  });

  test("of another container with our own id is respected as long as it shows that it lives", async () => {
    using folder = tempFolder();
    const path = folder.write("lock", lockOf({ ...thisProcess, host: "elsewhere/1/2" }));
    const touching = setInterval(() => utimesSync(path, new Date(), new Date()), 100);
    const waits: string[] = [];
    expect(await own(path, { onWait: (owner) => waits.push(owner) })).toBeUndefined();
    clearInterval(touching);
    expect(waits).toEqual([`process ${process.pid} on elsewhere`]);
  });

  test.each(["2040-01-01", "2001-01-01"])(
    "of another host that is silent is taken over, whatever its clock: %s",
    async (date) => {
      using folder = tempFolder();
      const path = folder.write("lock", lockOf({ ...thisProcess, host: "elsewhere/1/2" }));
      utimesSync(path, new Date(date), new Date(date));
      using held = await waitForLock(path);
      expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject(thisProcess);
      expect(held).toBeDefined();
    },
  );

  test("that is no file is not waited for for ever", async () => {
    using folder = tempFolder();
    const path = `${folder.path}/lock`;
    symlinkSync("nowhere", path);
    await expect(own(path)).rejects.toThrow(/expected a lock file/);
  });

  test("is not waited for after an interruption", async () => {
    using folder = tempFolder();
    const path = folder.write("lock", lockOf({ ...thisProcess, host: "elsewhere/1/2" }));
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 100);
    await expect(waitForLock(path, { signal: stop.signal })).rejects.toThrow(/abort/i);
  });

  test("many changes at once come one after the other", async () => {
    using folder = tempFolder();
    const path = `${folder.path}/lock`;
    let inside = 0;
    let most = 0;
    const change = async () => {
      using _ = await waitForLock(path);
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setTimeout(resolve, 1));
      inside--;
    };
    await Promise.all(Array.from({ length: 20 }, change));
    expect(most).toBe(1);
  });
});
