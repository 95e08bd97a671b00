import * as Plot from "@observablehq/plot";
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { savePng, saveSvg } from "./save.ts";

export type PlotSvg = SVGSVGElement & Plot.Plot;

/** A colour variable of the style sheet and its meaning. */
export interface LegendEntry {
  readonly colour: `--${string}`;
  readonly name: string;
}

interface FigureProps {
  readonly title: string;
  /** What it shows, in words, for screen readers. */
  readonly label: string;
  readonly height: number;
  /** The plot for the available width in pixels. */
  readonly draw: (width: number) => Plot.PlotOptions;
  /** What it is drawn from; it is redrawn when one of these changes. */
  readonly from: readonly unknown[];
  /** Called after each drawing, for example to place an overlay. */
  readonly onDrawn?: ((svg: PlotSvg, width: number) => void) | undefined;
  /** An overlay, in the figure's coordinates. */
  readonly children?: ComponentChildren | undefined;
  /** What its colours mean. */
  readonly legend?: readonly LegendEntry[] | undefined;
  /** How to read it. */
  readonly note?: string | undefined;
  readonly controls?: ComponentChildren | undefined;
}

const narrowest = 280;

/** A figure with a title that can be saved as SVG and PNG. Its height is reserved before it is drawn. */
export function Figure({
  title,
  label,
  height,
  draw,
  from,
  onDrawn,
  children,
  legend = [],
  note,
  controls,
}: FigureProps) {
  const box = useRef<HTMLDivElement>(null);
  const drawing = useRef<PlotSvg | null>(null);
  const [width, setWidth] = useState(0);
  const texts = { title, legend, note };

  useLayoutEffect(() => {
    const measure = () => setWidth(Math.max(narrowest, Math.floor(box.current!.parentElement!.clientWidth)));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(box.current!.parentElement!);
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    if (width === 0) return;
    const svg = Plot.plot({
      width,
      height,
      style: { background: "transparent", fontFamily: "inherit", fontSize: "12px" },
      ...draw(width),
    }) as PlotSvg; // without a legend of Plot, the result is the SVG itself
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
    for (const mark of svg.querySelectorAll("g[aria-label]")) mark.removeAttribute("aria-label"); // "rect" helps no reader
    drawing.current = svg;
    box.current!.replaceChildren(svg);
    onDrawn?.(svg, width);
  }, [width, height, label, ...from]);

  return (
    <figure>
      <div class="figure-head">
        <figcaption>{title}</figcaption>
        {controls}
        <span class="figure-buttons">
          <button
            type="button"
            class="small"
            onClick={() => saveSvg(drawing.current!, texts)}
            aria-label={`Save the figure "${title}" as SVG`}
          >
            SVG
          </button>
          <button
            type="button"
            class="small"
            onClick={() => void savePng(drawing.current!, texts)}
            aria-label={`Save the figure "${title}" as PNG`}
          >
            PNG
          </button>
        </span>
      </div>
      <div class="drawing" style={{ minHeight: `${height}px` }}>
        <div ref={box} />
        {children}
      </div>
      {legend.length > 0 && (
        <p class="quiet legend">
          {legend.map(({ colour, name }) => (
            <span>
              <i class="swatch" style={{ background: `var(${colour})` }} /> {name}
            </span>
          ))}
        </p>
      )}
      {note && <p class="quiet">{note}</p>}
    </figure>
  );
}
