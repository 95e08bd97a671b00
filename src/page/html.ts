import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, RunError } from "../errors.ts";
import { packageFolder } from "../package-folder.ts";
import type { PageData } from "./contract.ts";

const generator = '<meta name="generator" content="alpagasus">';

/** Bytes of the page without its data. */
export async function pageBytes(): Promise<number> {
  const { html } = await renderHtml({ kind: "viewer" }, "");
  return Buffer.byteLength(html);
}

/** Bytes that a value takes inside the page. */
export function bytesInHtml(value: unknown): number {
  return Buffer.byteLength(escapeJson(value));
}

/** Whether a text begins as this page does. */
export function isPage(text: string): boolean {
  return text.startsWith("<!doctype html>") && text.slice(0, 4_000).includes(generator);
}

/** The page, and the policy that it is to be served with. */
export interface Html {
  readonly html: string;
  readonly contentSecurityPolicy: string;
}

/**
 * The page with its data inside: one file, which runs nothing but its own script and, as a report, asks the network for
 * nothing.
 */
export async function renderHtml(data: PageData, title: string): Promise<Html> {
  const [script, style] = await Promise.all([readPart("page.js"), readPart("page.css")]);
  const policy = [
    "default-src 'none'",
    `script-src '${hashOf(script)}'`,
    "style-src 'unsafe-inline'", // figures set their own; nothing could be fetched by it
    "img-src data: blob:", // for saving figures as pictures
    data.kind === "viewer" ? "connect-src 'self'" : "connect-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  return {
    contentSecurityPolicy: `${policy}; frame-ancestors 'none'`,
    html: `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
${generator}
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<div id="page"><noscript>This page shows its figures with a script; the same figures are in the file of the same name that ends in .json.</noscript></div>
<script type="application/json" id="data">${escapeJson(data)}</script>
<script>${script}</script>
</body>
</html>
`,
  };
}

async function readPart(name: string): Promise<string> {
  const path = join(packageFolder, "dist", "web", name);
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new RunError(
      `${path}: expected the page that belongs to this package, got none (${messageOf(cause)}); build it with npm run build`,
      { cause },
    );
  }
}

function hashOf(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}

/** JSON in which nothing can end the element that it stands in. */
function escapeJson(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll("<", "\\u003c")
    .replaceAll("\u2028", "\\u2028")
    .replaceAll("\u2029", "\\u2029");
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
