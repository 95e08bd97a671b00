/*
 * Figures and tables as files of their own.
 */

const drawn = [
  "fill",
  "fill-opacity",
  "stroke",
  "stroke-opacity",
  "stroke-width",
  "stroke-dasharray",
  "stroke-linecap",
  "opacity",
  "font-family",
  "font-size",
  "font-weight",
  "font-variant",
  "text-anchor",
  "paint-order",
  "visibility",
];

/** The figure as it is seen, without need of this page's style. */
function standaloneSvg(svg: SVGSVGElement, title: string): string {
  const copy = svg.cloneNode(true) as SVGSVGElement; // a clone is of the same kind
  const originals = [svg, ...svg.querySelectorAll<SVGElement>("*")];
  const copies = [copy, ...copy.querySelectorAll<SVGElement>("*")];
  for (const [i, element] of copies.entries()) {
    if (element.localName === "style") continue;
    const original = originals[i]!;
    const style = getComputedStyle(original);
    const parent = original === svg ? undefined : getComputedStyle(original.parentElement!);
    for (const name of drawn) {
      element.removeAttribute(name); // it may name a colour of this page
      const value = style.getPropertyValue(name);
      const isInherited = name !== "opacity" && parent?.getPropertyValue(name) === value;
      if (!isInherited && !(name === "opacity" && value === "1")) element.style.setProperty(name, value);
    }
    element.removeAttribute("class");
  }
  for (const style of copy.querySelectorAll("style")) style.remove();
  const name = document.createElementNS("http://www.w3.org/2000/svg", "title");
  name.textContent = title;
  copy.prepend(name);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.style.setProperty("background", getComputedStyle(document.body).backgroundColor);
  return new XMLSerializer().serializeToString(copy);
}

export function saveSvg(svg: SVGSVGElement, title: string): void {
  save(new Blob([standaloneSvg(svg, title)], { type: "image/svg+xml" }), `${fileName(title)}.svg`);
}

const pixelsPerPoint = 2; // so that it is sharp in print and on fine screens

export async function savePng(svg: SVGSVGElement, title: string): Promise<void> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(standaloneSvg(svg, title))}`;
  await image.decode();
  const { width, height } = svg.viewBox.baseVal;
  const canvas = document.createElement("canvas");
  canvas.width = width * pixelsPerPoint;
  canvas.height = height * pixelsPerPoint;
  const context = canvas.getContext("2d")!;
  context.fillStyle = getComputedStyle(document.body).backgroundColor;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (blob) save(blob, `${fileName(title)}.png`);
}

export type Cell = string | number | null | undefined;

export function saveCsv(header: readonly string[], rows: readonly (readonly Cell[])[], title: string): void {
  save(new Blob([toCsv(header, rows)], { type: "text/csv" }), `${fileName(title)}.csv`);
}

/** CSV as RFC 4180 has it. A text that a spreadsheet would take for a formula is told apart by an apostrophe. */
function toCsv(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return [header, ...rows].map((cells) => `${cells.map(toCell).join(",")}\r\n`).join("");
}

function toCell(value: Cell): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function fileName(title: string): string {
  return (
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]+/gu, "-")
      .replace(/^-|-$/g, "")
      .slice(0, 80) || "alpagasus"
  );
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
