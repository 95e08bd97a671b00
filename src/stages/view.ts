import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import type { Hono } from "hono";
import type { AddressInfo } from "node:net";
import { UsageError } from "../errors.ts";
import { renderHtml } from "../page/html.ts";
import { openRun, type OpenRunOptions } from "../page/open-run.ts";
import { createLabelServer } from "../page/label-server.ts";
import { createServer } from "../page/server.ts";
import { openLabelling, type LabelOptions } from "./label.ts";
import { titleOf } from "./report.ts";

export interface ViewOptions extends OpenRunOptions {
  /** The run's folder. */
  readonly run: string;
  /** Port on 127.0.0.1; 0 takes any free one. When left out, 4620, or any free one if that is taken. */
  readonly port?: number | undefined;
}

export interface Viewer extends AsyncDisposable {
  /** Address of the page. Its path begins with a password, so that other users of this machine cannot read the run. */
  readonly url: string;
}

/**
 * Serves the page of an annotator on 127.0.0.1: pairs to label, and nothing else of the run.
 *
 * @throws as `openLabelling`; UsageError when the port is taken
 */
export async function viewLabels({ port, ...options }: LabelOptions & Pick<ViewOptions, "port">): Promise<LabelViewer> {
  const labelling = await openLabelling(options);
  try {
    const page = await renderHtml({ kind: "labels" }, "labels · alpagasus");
    const server = await serve((hosts, token) => createLabelServer(labelling, page, hosts, token), port);
    return {
      ...server,
      path: labelling.path,
      pairs: labelling.pairs,
      repeats: labelling.repeats,
      async [Symbol.asyncDispose]() {
        await server[Symbol.asyncDispose]();
        await labelling[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await labelling[Symbol.asyncDispose]();
    throw error;
  }
}

export interface LabelViewer extends Viewer {
  /** The annotator's file. */
  readonly path: string;
  /** Pairs to label, and how many of them are shown again. */
  readonly pairs: number;
  readonly repeats: number;
}

const usualPort = 4620;
const host = "127.0.0.1";

/**
 * Serves a run's page on 127.0.0.1, with all of its rows and pairs. It never writes.
 *
 * @throws RunError when there is nothing to show, or the manifest is damaged
 * @throws UsageError when the port is taken, or a judge of `against` is of no known form
 */
export async function view(options: ViewOptions): Promise<Viewer> {
  const run = await openRun(options.run, { ...options, isFollowing: true });
  try {
    await run.report(); // throws now if the run is damaged, and begins to read
    const page = await renderHtml({ kind: "viewer" }, titleOf(options));
    const server = await serve((hosts, token) => createServer(run, page, hosts, token), options.port);
    return {
      ...server,
      async [Symbol.asyncDispose]() {
        await server[Symbol.asyncDispose]();
        await run[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await run[Symbol.asyncDispose]();
    throw error;
  }
}

/** Serves an application on 127.0.0.1, under a path that begins with a password. */
async function serve(
  create: (hosts: () => readonly string[], token: string) => Hono,
  wanted: number | undefined,
): Promise<Viewer> {
  const { getRequestListener } = await import("@hono/node-server");
  let port = 0;
  const token = randomBytes(16).toString("base64url");
  const hosts = () => [host, "localhost"].flatMap((name) => (port === 80 ? [name, `${name}:80`] : [`${name}:${port}`]));
  const app = create(hosts, token);
  const server = createHttpServer(getRequestListener((request) => app.fetch(request)));
  port = await listen(server, wanted);
  return {
    url: `http://${host}${port === 80 ? "" : `:${port}`}/${token}/`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function listen(server: ReturnType<typeof createHttpServer>, wanted: number | undefined): Promise<number> {
  try {
    server.listen(wanted ?? usualPort, host);
    await once(server, "listening");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException; // listen fails with errors of this kind
    if (wanted !== undefined)
      throw new UsageError(
        `--port ${wanted}: ${code === "EADDRINUSE" ? "another program listens there" : `cannot be listened on (${code})`}; choose another, or 0 for any free one`,
        { cause: error },
      );
    server.listen(0, host);
    await once(server, "listening");
  }
  return (server.address() as AddressInfo).port; // of a server that listens on a port
}
