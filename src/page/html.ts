import { createHash } from "node:crypto";
import { readWhole } from "../files/read-file.ts";
import { join } from "node:path";
import { messageOf, RunError } from "../errors.ts";
import { packageFolder } from "../package-folder.ts";
import type { PageData } from "./contract.ts";

const generator = '<meta name="generator" content="alpagasus">';

/** Size of the page without its data, in bytes. */
export async function pageBytes(): Promise<number> {
  const { html } = await renderHtml({ kind: "viewer" }, "");
  return Buffer.byteLength(html);
}

/** Size of a value inside the page, in bytes. */
export function bytesInHtml(value: unknown): number {
  return Buffer.byteLength(escapeJson(value));
}

/** Whether a text is a page made by `renderHtml`, judged by its beginning. */
export function isPage(text: string): boolean {
  return text.startsWith("<!doctype html>") && text.slice(0, 4_000).includes(generator);
}

/** The page, and the Content-Security-Policy header to serve it with. */
export interface Html {
  readonly html: string;
  readonly contentSecurityPolicy: string;
}

/** Renders the page with its data as one file. It runs only its own script, and a report makes no network requests. */
export async function renderHtml(data: PageData, title: string): Promise<Html> {
  const [script, style] = await Promise.all([readPart("page.js"), readPart("page.css")]);
  const policy = [
    "default-src 'none'",
    `script-src '${hashOf(script)}'`,
    "style-src 'unsafe-inline'", // figures set inline styles, which cannot fetch anything here
    "img-src data: blob:", // for saving figures as images
    data.kind !== "report" ? "connect-src 'self'" : "connect-src 'none'",
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
<div id="page"><noscript>This page needs JavaScript to show its figures; the same figures are in the .json file of the same name.</noscript></div>
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
    return await readWhole(path, "utf8");
  } catch (cause) {
    throw new RunError(
      `${path}: expected this package's built page, found none (${messageOf(cause)}); build it with npm run build`,
      { cause },
    );
  }
}

function hashOf(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}

/** JSON that is safe inside a script element: nothing in it can end the element. */
function escapeJson(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll("<", "\\u003c")
    .replaceAll("\u2028", "\\u2028")
    .replaceAll("\u2029", "\\u2029");
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
