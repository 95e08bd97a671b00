import type { LegendEntry } from "./figure.tsx";
import { csvCell, svgText } from "./foreign-text.ts";

/*
 * Saves figures and tables as files.
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

/** The texts around a figure. */
export interface FigureTexts {
  readonly title: string;
  readonly legend: readonly LegendEntry[];
  readonly note: string | undefined;
}

const titleHeight = 30;
const lineHeight = 16;
const margin = 10;
const letterWidth = 6.2; // average in pixels, at the size of the notes

/** The figure with its title, legend and note, in light colours, independent of this page's style. */
function standaloneSvg(svg: SVGSVGElement, texts: FigureTexts): string {
  return inLightColours(() => {
    const copy = copyWithStyle(svg);
    const { width, height } = svg.viewBox.baseVal;
    const ink = getComputedStyle(document.body).color;
    const whole = element("svg", {});
    const inner = element("g", { transform: `translate(0,${titleHeight})` });
    inner.setAttribute("style", copy.getAttribute("style") ?? "");
    inner.append(...copy.childNodes);
    const lines = texts.note === undefined ? [] : wrap(texts.note, Math.floor((width - 2 * margin) / letterWidth));
    const legend = drawLegend(texts.legend, width, titleHeight + height + lineHeight, ink);
    const notesFrom = titleHeight + height + lineHeight * (1 + legend.lines);
    const total = notesFrom + lineHeight * lines.length + margin;
    for (const [name, value] of Object.entries({
      xmlns: svgNamespace,
      width,
      height: total,
      viewBox: `0 0 ${width} ${total}`,
    }))
      whole.setAttribute(name, String(value));
    whole.setAttribute("font-family", "system-ui, sans-serif");
    const title = element("title", {});
    title.textContent = svgText(texts.title);
    const background = element("rect", { width, height: total, fill: getComputedStyle(document.body).backgroundColor });
    const heading = textAt(margin, 20, texts.title, ink, 15);
    heading.setAttribute("font-weight", "bold");
    const notes = lines.map((line, i) => textAt(margin, notesFrom + lineHeight * i, line, ink, 12));
    whole.append(title, background, heading, inner, ...legend.elements, ...notes);
    return new XMLSerializer().serializeToString(whole);
  });
}

const svgNamespace = "http://www.w3.org/2000/svg";

function element(name: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
  const made = document.createElementNS(svgNamespace, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, String(value));
  return made;
}

function textAt(x: number, y: number, text: string, fill: string, size: number): SVGElement {
  const made = element("text", { x, y, fill, "font-size": size });
  made.textContent = svgText(text);
  return made;
}

function drawLegend(
  legend: readonly LegendEntry[],
  width: number,
  from: number,
  ink: string,
): { elements: SVGElement[]; lines: number } {
  let [x, line] = [margin, 0];
  const style = getComputedStyle(document.documentElement);
  const elements = legend.flatMap(({ colour, name }) => {
    const wide = 24 + name.length * 7;
    if (x > margin && x + wide > width) [x, line] = [margin, line + 1];
    const y = from + line * lineHeight;
    const drawnHere = [
      element("rect", { x, y: y - 10, width: 12, height: 12, fill: style.getPropertyValue(colour) }),
      textAt(x + 17, y, name, ink, 12),
    ];
    x += wide;
    return drawnHere;
  });
  return { elements, lines: legend.length > 0 ? line + 1 : 0 };
}

/** Wraps a text into lines of at most `most` characters. */
function wrap(text: string, most: number): string[] {
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = lines.at(-1) === "" ? word : `${lines.at(-1)} ${word}`;
    if (longer.length > most && lines.at(-1) !== "") lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines;
}

/** Runs `make` in the light theme, since figures are saved for paper and slides. The browser does not repaint meanwhile. */
function inLightColours<T>(make: () => T): T {
  const root = document.documentElement;
  const theme = root.dataset["theme"];
  root.dataset["theme"] = "light";
  try {
    return make();
  } finally {
    if (theme !== undefined) root.dataset["theme"] = theme;
  }
}

/** A copy that looks the same anywhere, with the computed styles written into it. */
function copyWithStyle(svg: SVGSVGElement): SVGSVGElement {
  const copy = svg.cloneNode(true) as SVGSVGElement; // a clone has the same type
  const originals = [svg, ...svg.querySelectorAll<SVGElement>("*")];
  for (const [i, made] of [copy, ...copy.querySelectorAll<SVGElement>("*")].entries()) {
    if (made.localName === "style") continue;
    const original = originals[i]!;
    const style = getComputedStyle(original);
    const parent = original === svg ? undefined : getComputedStyle(original.parentElement!);
    for (const name of drawn) {
      made.removeAttribute(name); // it may refer to a colour variable of this page
      const value = style.getPropertyValue(name);
      const isInherited = name !== "opacity" && parent?.getPropertyValue(name) === value;
      if (!isInherited && !(name === "opacity" && value === "1")) made.style.setProperty(name, value);
    }
    made.removeAttribute("class");
  }
  for (const style of copy.querySelectorAll("style")) style.remove();
  cleanTexts(copy);
  copy.style.removeProperty("background");
  return copy;
}

function cleanTexts(copy: SVGSVGElement): void {
  const texts = document.createTreeWalker(copy, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) texts.currentNode.nodeValue = svgText(texts.currentNode.nodeValue ?? "");
  for (const made of [copy, ...copy.querySelectorAll("*")])
    for (const attribute of made.attributes)
      attribute.value = attribute.value.replaceAll(/[^\P{Cc}\t\n\r]/gu, "\ufffd");
}

export function saveSvg(svg: SVGSVGElement, texts: FigureTexts): void {
  save(new Blob([standaloneSvg(svg, texts)], { type: "image/svg+xml" }), `${fileName(texts.title)}.svg`);
}

const pixelsPerPoint = 2; // sharp in print and on high-resolution screens

export async function savePng(svg: SVGSVGElement, texts: FigureTexts): Promise<void> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(standaloneSvg(svg, texts))}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth * pixelsPerPoint;
  canvas.height = image.naturalHeight * pixelsPerPoint;
  canvas.getContext("2d")!.drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (blob) save(blob, `${fileName(texts.title)}.png`);
}

export type Cell = string | number | null | undefined;

export function saveCsv(header: readonly string[], rows: readonly (readonly Cell[])[], title: string): void {
  save(new Blob([toCsv(header, rows)], { type: "text/csv" }), `${fileName(title)}.csv`);
}

function toCsv(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return [header, ...rows].map((cells) => `${cells.map(csvCell).join(",")}\r\n`).join("");
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
