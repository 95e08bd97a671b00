import { Hono } from "hono";
import * as z from "zod";
import { AlpagasusError, messageOf } from "../errors.ts";
import type { LabelState } from "./label-state.ts";
import type { Html } from "./html.ts";
import { guard } from "./server.ts";

/*
 * The server of one annotator: the page, the pair to label, and its label. It tells nothing else of the run: models and judge stay hidden.
 */

/** What the page of an annotator can do. */
export interface Labelling {
  state(): LabelState;
  /** @throws RunError when another pair is to be labelled now */
  label(given: {
    readonly key: string;
    readonly choice: "left" | "right" | "tie" | "skip";
    readonly note?: string | undefined;
    readonly ms: number;
  }): LabelState;
  /** @param key names the last label @throws RunError when another one is the last */
  undo(key: string): LabelState;
}

const givenSchema = z.strictObject({
  key: z.string().max(10_000),
  choice: z.enum(["left", "right", "tie", "skip"]),
  note: z.string().max(10_000).optional(),
  ms: z.number().min(0).max(1e9),
});

const undoSchema = z.strictObject({ last: z.string().max(10_000) });

/** @param hosts allowed Host headers, with the port @param token the first part of every path */
export function createLabelServer(
  labelling: Labelling,
  page: Html,
  hosts: () => readonly string[],
  token: string,
): Hono {
  const base = `/${token}/`;
  const app = new Hono();
  app.use(guard(hosts, base, (c) => c.req.method === "POST" && c.req.path.startsWith(`${base}api/`)));
  app.get(base, (c) => c.html(page.html, 200, { "Content-Security-Policy": page.contentSecurityPolicy }));
  app.get(`${base}api/label`, (c) => c.json(labelling.state()));
  app.post(`${base}api/label`, async (c) => c.json(labelling.label(givenSchema.parse(await c.req.json()))));
  app.post(`${base}api/undo`, async (c) => c.json(labelling.undo(undoSchema.parse(await c.req.json()).last)));
  app.notFound((c) => c.json({ problem: `there is nothing here; the page is at ${base}` }, 404));
  app.onError((error, c) => {
    const isAsked = error instanceof z.ZodError || error instanceof SyntaxError;
    const status = isAsked ? 400 : error instanceof AlpagasusError ? 409 : 500;
    return c.json({ problem: isAsked ? "expected a label as the page sends it" : messageOf(error) }, status);
  });
  return app;
}
