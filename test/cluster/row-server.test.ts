import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { freePort } from "../helpers/free-port.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

const server = fileURLToPath(new URL("../../python/row_server.py", import.meta.url));
const hasPython = spawnSync("python3", ["--version"]).status === 0;

/** A script that answers each row with more text than a pipe holds, once all rows of its block were written. */
const script = `import json, sys
print("ready", json.dumps({"device": "cpu", "dtype": "float32"}), flush=True)
for line in sys.stdin:
    for row in json.loads(line):
        print("measured", json.dumps([{"id": row["id"], "text": row["text"][:3] * 3000}]), flush=True)
`;

test.skipIf(!hasPython)("rows and results that no pipe holds do not wait for each other", async () => {
  using folder = tempFolder();
  folder.write("script.py", script);
  const port = await freePort();
  const child = spawn("python3", [server, "127.0.0.1", String(port), `${folder.path}/script.py`], { stdio: "ignore" });
  try {
    const address = `http://127.0.0.1:${port}`;
    await expect.poll(async () => (await fetch(`${address}/health`).catch(() => undefined))?.status).toBe(200);
    const ask = async (word: string) => {
      const rows = Array.from({ length: 64 }, (_, id) => ({ id, text: word.repeat(3_000) }));
      const answer = await fetch(`${address}/rows`, { method: "POST", body: JSON.stringify(rows) });
      const { results } = (await answer.json()) as { results: { id: number; text: string }[] };
      return results.map(({ id, text }) => [id, text.slice(0, 3), text.length]);
    };
    const asked = await Promise.all(["one", "two", "six"].map(ask));
    for (const [i, word] of ["one", "two", "six"].entries())
      expect(asked[i]!.toSorted(([a], [b]) => Number(a) - Number(b))).toEqual(
        Array.from({ length: 64 }, (_, id) => [id, word, 9_000]),
      );
  } finally {
    child.kill("SIGKILL");
  }
});
