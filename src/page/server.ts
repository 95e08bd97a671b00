import { hash, timingSafeEqual } from "node:crypto";
import { Hono, type Context, type MiddlewareHandler } from "hono";
import * as z from "zod";
import { AlpagasusError, messageOf } from "../errors.ts";
import { ratingStates } from "../run/rating.ts";
import { outcomes } from "../stats/outcomes.ts";
import type { PairQuery, RowQuery } from "./contract.ts";
import type { Html } from "./html.ts";
import type { OpenRun } from "./open-run.ts";

/*
 * The viewer's HTTP server: the page, and data of one run. It is read-only, opens no path named by a request, and answers
 * only its own page.
 */

const text = z.string().max(2_000).optional();
const number = z.coerce.number().finite().optional();
const whole = z.coerce.number().int().min(0).max(1e9).optional();
const limit = z.coerce.number().int().min(1).max(2_000).optional();
const flag = z.stringbool().optional();

const rowQuerySchema = z.strictObject({
  search: text,
  state: z.enum([...ratingStates, "unscored"]).optional(),
  atLeast: number,
  below: number,
  category: text,
  shortest: whole,
  longest: whole,
  arm: text,
  isKept: flag,
  reason: text,
  sort: z.enum(["index", "score", "length", "disagreement"]).optional(),
  reference: whole,
  isDescending: flag,
  offset: whole,
  limit,
});

const pairQuerySchema = z.strictObject({
  comparison: text,
  search: text,
  set: text,
  category: text,
  outcome: z.enum(outcomes).optional(),
  orders: z.enum(["flipped", "differ", "unread"]).optional(),
  sort: z.enum(["disagreement", "set", "length"]).optional(),
  offset: whole,
  limit,
});

const pairNameSchema = z.strictObject({ comparison: z.string(), set: z.string(), id: z.string() });

const privateHeaders = {
  "Cache-Control": "no-store",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

/**
 * Creates the viewer's server for one run.
 *
 * @param hosts allowed Host headers, with the port
 * @param token the first part of every path: who does not know it, such as another user of this machine, sees nothing
 */
export function createServer(run: OpenRun, page: Html, hosts: () => readonly string[], token: string): Hono {
  const base = `/${token}/`;
  const app = new Hono();

  app.use(guard(hosts, base));

  app.get(base, (c) => c.html(page.html, 200, { "Content-Security-Policy": page.contentSecurityPolicy }));
  app.get(`${base}api/report`, async (c) => {
    const { madeAt, ...report } = await run.report();
    const tag = `"${hash("sha256", JSON.stringify(report)).slice(0, 16)}"`;
    if (c.req.header("If-None-Match") === tag) return c.body(null, 304);
    return c.json({ ...report, madeAt }, 200, { ETag: tag });
  });
  app.get(`${base}api/rows`, async (c) =>
    c.json(await run.rows(defined<RowQuery>(rowQuerySchema.parse(c.req.query())))),
  );
  app.get(`${base}api/rows/:index{[0-9]{1,15}}`, async (c) => {
    const row = await run.row(Number(c.req.param("index")));
    return row ? c.json(row) : c.json({ problem: "no such row, or it has not been read yet" }, 404);
  });
  app.get(`${base}api/pairs`, async (c) =>
    c.json(await run.pairs(defined<PairQuery>(pairQuerySchema.parse(c.req.query())))),
  );
  app.get(`${base}api/pair`, async (c) => {
    const { comparison, set, id } = pairNameSchema.parse(c.req.query());
    const pair = await run.pair(comparison, set, id);
    return pair ? c.json(pair) : c.json({ problem: "no such pair" }, 404);
  });
  app.notFound((c) => c.json({ problem: `there is nothing here; the page is at ${base}` }, 404));
  app.onError((error, c) => {
    if (error instanceof z.ZodError) {
      const [issue] = error.issues;
      return c.json({ problem: `${issue!.path.join(".") || "the query"}: ${issue!.message}` }, 400);
    }
    return c.json({ problem: messageOf(error) }, error instanceof AlpagasusError ? 409 : 500);
  });
  return app;
}

/** Refuses requests of others than the own page. @param mayWrite which requests that change something are allowed */
export function guard(
  hosts: () => readonly string[],
  base: string,
  mayWrite: (c: Context) => boolean = () => false,
): MiddlewareHandler {
  return async (c, next) => {
    const refusal = refuse(c, hosts(), base, mayWrite(c));
    if (refusal) return c.json({ problem: refusal.problem }, refusal.status, privateHeaders);
    await next();
    for (const [name, value] of Object.entries(privateHeaders)) c.res.headers.set(name, value);
    return undefined;
  };
}

/** Why a request is refused; undefined if it is not. */
function refuse(
  c: Context,
  hosts: readonly string[],
  base: string,
  mayWrite: boolean,
): { status: 403 | 405 | 421; problem: string } | undefined {
  if (!hosts.includes(c.req.header("Host") ?? ""))
    return { status: 421, problem: `this server only answers requests to ${hosts.join(" or ")}` };
  if (c.req.method !== "GET" && c.req.method !== "HEAD" && !mayWrite)
    return { status: 405, problem: "this server is read-only and only accepts GET" };
  if (!isSame(c.req.path.slice(0, base.length), base))
    return { status: 403, problem: "open the whole address that alpagasus view printed; its first part is a password" };
  const site = c.req.header("Sec-Fetch-Site");
  const isNavigation = c.req.header("Sec-Fetch-Mode") === "navigate" && c.req.path === base;
  if (site !== undefined && site !== "same-origin" && site !== "none" && !isNavigation)
    return { status: 403, problem: "this server only answers its own page" };
  return undefined;
}

/** Compares in a time that does not depend on where they differ. */
function isSame(one: string, other: string): boolean {
  return timingSafeEqual(hash("sha256", one, "buffer"), hash("sha256", other, "buffer"));
}

/** Drops keys whose value is undefined. */
function defined<T extends object>(query: { readonly [Key in keyof T]?: T[Key] | undefined }): T {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined)) as T; // no undefined is left
}
