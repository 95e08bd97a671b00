import { layers, type SourceFile } from "./structure.ts";

const width = 960;
const box = { width: 148, height: 40 };
const rowHeight = 74;
const margin = 24;

interface Place {
  readonly x: number;
  readonly y: number;
}

/** Folders as boxes, a row for each layer, and a line for the imports between two folders: the thicker, the more. */
export function drawMap(files: readonly SourceFile[]): string {
  const places = new Map<string, Place>();
  for (const [row, layer] of layers.entries())
    for (const [i, folder] of layer.entries())
      places.set(folder, {
        x: (width * (i + 1)) / (layer.length + 1) + (row % 2 === 0 ? -30 : 30), // rows are shifted, so that lines do not hide one another
        y: margin + row * rowHeight,
      });
  const counts = new Map<string, number>();
  const folderByPath = new Map(files.map(({ path, folder }) => [path, folder]));
  for (const { folder, imports } of files)
    for (const imported of imports) {
      const other = folderByPath.get(imported);
      if (other === undefined || other === folder || other === ".") continue;
      counts.set(`${folder} ${other}`, (counts.get(`${folder} ${other}`) ?? 0) + 1);
    }
  const lines = [...counts].map(([names, count]) => {
    const [from, to] = names.split(" ").map((name) => places.get(name)!);
    const [y1, y2] = [from!.y + box.height, to!.y - 2];
    const bend = (y1 + y2) / 2;
    return `<path d="M${r(from!.x)} ${r(y1)} C${r(from!.x)} ${r(bend)} ${r(to!.x)} ${r(bend)} ${r(to!.x)} ${r(y2)}" stroke-width="${Math.min(4, 0.6 + count / 12).toFixed(1)}"><title>${names.replace(" ", " → ")}: ${count} imports</title></path>`;
  });
  const boxes = [...places].map(([folder, { x, y }]) => {
    const own = files.filter((file) => file.folder === folder);
    const size = own.reduce((sum, file) => sum + file.lines, 0);
    const name = folder === "." ? "errors, format, …" : `${folder}/`;
    return `<g><rect x="${r(x - box.width / 2)}" y="${y}" width="${box.width}" height="${box.height}" rx="5"/><text x="${r(x)}" y="${y + 17}" class="name">${name}</text><text x="${r(x)}" y="${y + 32}">${own.length} files, ${size.toLocaleString("en")} lines</text></g>`;
  });
  const height = margin + layers.length * rowHeight;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="11" text-anchor="middle">
<title>The folders of src/: each imports from those below it</title>
<style>rect { fill: #eef3fb; stroke: #4668a3 } path { fill: none; stroke: #8a97ad; opacity: 0.7 } .name { font-weight: 600; font-size: 13px }</style>
<rect width="${width}" height="${height}" style="fill: #fff; stroke: none"/>
${lines.join("\n")}
${boxes.join("\n")}
</svg>
`;
}

function r(value: number): string {
  return String(Math.round(value));
}
