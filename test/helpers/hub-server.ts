import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

/** A repository of a {@link HubServer}. */
interface HubRepository {
  readonly isPrivate: boolean;
  readonly files: Map<string, Buffer>;
  commits: number;
}

/** A server that speaks the part of the Hub's API by which repositories are made, written in commits, and read again. */
export interface HubServer extends AsyncDisposable {
  readonly url: string;
  /** By type and name: `dataset me/set`. */
  readonly repositories: Map<string, HubRepository>;
  /** Files over so many bytes are sent apart (LFS). */
  readonly largeBytes: number;
  /** Makes requests of this kind fail with a status, such as `commit`. */
  failing: { readonly path: RegExp; readonly status: number } | undefined;
}

interface CommitLine {
  readonly key: "header" | "file" | "lfsFile" | "deletedFile";
  readonly value: { readonly path: string; readonly content?: string; readonly oid?: string };
}

/** @param token the one that may write */
export async function startHubServer(token: string): Promise<HubServer> {
  const repositories = new Map<string, HubRepository>();
  const stored = new Map<string, Buffer>(); // LFS, by hash
  const largeBytes = 20_000;
  const server = createServer((request, response) => void answer(request, response));
  const hub = { url: "", repositories, largeBytes, failing: undefined as HubServer["failing"] };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname: path } = new URL(request.url!, "http://hub");
    const body = await buffer(request);
    const json = (value: unknown, status = 200) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    if (hub.failing?.path.test(path)) return void json({ error: "refused by the test" }, hub.failing.status);
    const isWriter = request.headers.authorization === `Bearer ${token}`;
    if (path === "/api/repos/create") {
      if (!isWriter) return void json({ error: "Invalid username or password." }, 401);
      const made = JSON.parse(body.toString()) as {
        type?: string;
        name: string;
        organization?: string;
        visibility?: string;
        private?: boolean;
      };
      const name = made.organization === undefined ? made.name : `${made.organization}/${made.name}`;
      const isPrivate = made.visibility === "private" || made.private === true;
      repositories.set(`${made.type ?? "model"} ${name}`, { isPrivate, files: new Map(), commits: 0 });
      return void json({ url: `${hub.url}/${name}`, id: "1" });
    }
    const lfs = /^\/lfs\/(\w+)$/.exec(path)?.[1];
    if (lfs !== undefined) {
      stored.set(lfs, body);
      return void response.writeHead(200).end();
    }
    const found = findRepository(path);
    if (!found || (found.repository.isPrivate && !isWriter)) return void json({ error: "Repository not found" }, 404);
    const { repository, name, rest } = found;
    const commit = createHash("sha1").update(`${name} ${repository.commits}`).digest("hex");
    if (rest === "" || rest.startsWith("/revision/"))
      return void json({
        _id: "1",
        id: name,
        sha: commit,
        private: repository.isPrivate,
        gated: false,
        downloads: 0,
        likes: 0,
        lastModified: "2026-01-01T00:00:00.000Z",
        tags: licenceTags(repository),
        siblings: [...repository.files.keys()].map((rfilename) => ({ rfilename })),
      });
    const entry = (file: string) => {
      const bytes = repository.files.get(file)!;
      return { type: "file", oid: gitHash(bytes), size: bytes.length, path: file };
    };
    if (rest.startsWith("/tree/")) return void json([...repository.files.keys()].map(entry));
    if (rest.startsWith("/paths-info/")) {
      const asked = new URLSearchParams(body.toString()).getAll("paths");
      const wanted =
        asked.length > 0 ? asked : ((JSON.parse(body.toString() || "{}") as { paths?: string[] }).paths ?? []);
      return void json(wanted.filter((file) => repository.files.has(file)).map(entry));
    }
    if (rest.startsWith("/resolve/")) return sendFile(rest.split("/").slice(3).join("/"));
    if (!isWriter) return void json({ error: "Forbidden" }, 403);
    if (rest.startsWith("/preupload/")) {
      const { files } = JSON.parse(body.toString()) as { files: { path: string; size: number }[] };
      return void json({
        files: files.map(({ path: file, size }) => ({
          path: file,
          uploadMode: size > largeBytes ? "lfs" : "regular",
          shouldIgnore: false,
        })),
      });
    }
    if (rest === ".git/info/lfs/objects/batch") {
      const { objects } = JSON.parse(body.toString()) as { objects: { oid: string; size: number }[] };
      return void response.writeHead(200, { "content-type": "application/vnd.git-lfs+json" }).end(
        JSON.stringify({
          transfer: "basic",
          objects: objects.map((one) => ({
            ...one,
            actions: { upload: { href: `${hub.url}/lfs/${one.oid}`, header: {} } },
          })),
        }),
      );
    }
    if (rest.startsWith("/commit/")) {
      const lines = body
        .toString()
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as CommitLine);
      for (const { key, value } of lines) {
        if (key === "file") repository.files.set(value.path, Buffer.from(value.content!, "base64"));
        if (key === "deletedFile") repository.files.delete(value.path);
        if (key === "lfsFile") {
          const bytes = stored.get(value.oid!);
          if (!bytes || createHash("sha256").update(bytes).digest("hex") !== value.oid)
            return void json({ error: "a file of the commit was not sent" }, 400);
          repository.files.set(value.path, bytes);
        }
      }
      repository.commits++;
      const oid = createHash("sha1").update(`${name} ${repository.commits}`).digest("hex");
      return void json({ commitUrl: `${hub.url}/${name}/commit/${oid}`, commitOid: oid, hookOutput: "" });
    }
    json({ error: `nothing at ${path}` }, 404);

    function sendFile(file: string): void {
      const bytes = repository.files.get(decodeURIComponent(file));
      if (!bytes) {
        response.setHeader("x-error-code", "EntryNotFound");
        json({ error: "Entry not found" }, 404);
        return;
      }
      const headers = {
        etag: `"${gitHash(bytes)}"`,
        "x-repo-commit": commit,
        "accept-ranges": "bytes",
        "content-type": "text/plain",
      };
      const range = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? "");
      const part = range ? bytes.subarray(Number(range[1]), range[2] ? Number(range[2]) + 1 : undefined) : bytes;
      const end = range
        ? { "content-range": `bytes ${range[1]}-${Number(range[1]) + part.length - 1}/${bytes.length}` }
        : {};
      response.writeHead(range ? 206 : 200, { ...headers, ...end, "content-length": part.length });
      response.end(request.method === "HEAD" ? undefined : part);
    }
  }

  function findRepository(path: string) {
    const form =
      /^\/(?:api\/)?(datasets\/|models\/)?([\w.-]+\/[\w-][\w.-]*?)(\.git\/.*|\/(?:revision|tree|paths-info|resolve|preupload|commit)\/.*)?$/;
    const [, type, name = "", rest = ""] = form.exec(path) ?? [];
    const repository = repositories.get(`${type === "datasets/" ? "dataset" : "model"} ${name}`);
    return repository && { repository, name, rest };
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  hub.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // it listens on a port
  return Object.assign(hub, {
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  });
}

function licenceTags({ files }: HubRepository): string[] {
  const licence = /^license: (\S+)$/m.exec(files.get("README.md")?.toString() ?? "")?.[1];
  return licence === undefined ? [] : [`license:${licence}`];
}

function gitHash(bytes: Buffer): string {
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}
