// A grid of numbers as colours: a pixel for each, stretched by the style sheet; names, steps and scale are text around it.
import { h } from "../dom";
import { formatInteger, shorten, tickLabels } from "../format";
import type { MetricInfo } from "../generated/messages";
import { type Grid, linearTicks, logTicks } from "../grid";
import { shareOf } from "../graph_values";
import { colourOf, scaleColours } from "./pixels";
import { LABEL_LENGTH, rowsLayout } from "./rows";

const SHADES = 256;
const OPAQUE = 0xff000000;

export interface HeatCanvas {
  /** Stand around the canvas, which is among them. */
  elements: HTMLElement[];
  show(grid: Grid, names: readonly string[], scale: MetricInfo["scale"], range: [number, number]): void;
  /** Frames a row; -1 for none. */
  choose(row: number): void;
  /** The cell below a point of the screen; null beside the canvas. */
  at(event: MouseEvent): { row: number; column: number } | null;
}

/** `root` has the colours. */
export function heatCanvas(root: Element): HeatCanvas {
  const canvas = h("canvas", { width: 1, height: 1 });
  const frame = h("div", { class: "ds-heat-chosen", hidden: true });
  const cells = h("div", { class: "ds-heat-cells" }, canvas, frame);
  const labels = h("div", { class: "ds-heat-labels" });
  const marks = h("div", { class: "ds-heat-marks" });
  const bar = h("div", { class: "ds-heat-bar" }, h("span", { class: "ds-heat-ramp" }), marks);
  const steps = h("div", { class: "ds-heat-steps" });
  const [renewLabels, renewMarks, renewSteps] = [renewer(labels), renewer(marks), renewer(steps)];
  let shades: Uint32Array | null = null;
  let size = { rows: 0, columns: 0 };

  function paint(grid: Grid, scale: MetricInfo["scale"], range: [number, number]): void {
    shades ??= shadesOf(root);
    if (canvas.width !== grid.columns) canvas.width = grid.columns;
    if (canvas.height !== grid.rows) canvas.height = grid.rows;
    const pixels = coloured(grid.values, shades, scale, range);
    const image = new ImageData(new Uint8ClampedArray(pixels.buffer), grid.columns, grid.rows);
    canvas.getContext("2d")?.putImageData(image, 0, 0);
  }

  return {
    elements: [labels, cells, bar, steps],
    show(grid, names, scale, range) {
      size = grid;
      paint(grid, scale, range);
      const { height, every } = rowsLayout(grid.rows);
      cells.style.height = bar.style.height = labels.style.height = `${height}px`;
      const row = height / grid.rows;
      const shown = names.filter((_, index) => index % every === 0);
      renewLabels([`${height} ${every}`, ...shown], () =>
        shown.map((name) => placed(shorten(name, LABEL_LENGTH), { height: `${every * row}px`, lineHeight: `${row}px` })),
      );
      const ticks = scale === "log" ? logTicks(...range) : linearTicks(...range);
      renewMarks([range.join(" ")], () =>
        tickLabels(ticks).map((text, index) => placed(text, { bottom: `${100 * shareOf(ticks[index]!, range, scale)}%` })),
      );
      renewSteps([`${grid.start} ${grid.span}`], () =>
        linearTicks(grid.start, grid.start + grid.span)
          .filter((step) => Number.isInteger(step) && step < grid.start + grid.span)
          .map((step) => placed(formatInteger(step), { left: `${(100 * (step - grid.start)) / grid.span}%` })),
      );
    },
    choose(row) {
      frame.hidden = row < 0;
      frame.style.top = `${(100 * row) / size.rows}%`;
      frame.style.height = `${100 / size.rows}%`;
    },
    at({ clientX, clientY }) {
      const { left, top, width, height } = canvas.getBoundingClientRect();
      const column = Math.floor(((clientX - left) / width) * size.columns);
      const row = Math.floor(((clientY - top) / height) * size.rows);
      return column >= 0 && column < size.columns && row >= 0 && row < size.rows ? { row, column } : null;
    },
  };
}

/** Fills an element again only if what it is made of has changed. */
function renewer(element: HTMLElement): (key: string[], make: () => HTMLElement[]) => void {
  let last = "";
  return (key, make) => {
    const now = key.join("\n");
    if (now !== last) element.replaceChildren(...make());
    last = now;
  };
}

function placed(text: string, style: Partial<CSSStyleDeclaration>): HTMLElement {
  const element = h("span", {}, text);
  Object.assign(element.style, style);
  return element;
}

/** The colours of the scale as pixels, the one for what is not finite last. */
function shadesOf(root: Element): Uint32Array {
  return Uint32Array.from([...scaleColours(root), colourOf(root, "--ds-alarm")], ([red, green, blue]) =>
    (OPAQUE | (Math.round(blue!) << 16) | (Math.round(green!) << 8) | Math.round(red!)) >>> 0,
  );
}

/** What was not measured stays transparent. */
function coloured(values: Float32Array, shades: Uint32Array, scale: MetricInfo["scale"], [low, high]: [number, number]): Uint32Array<ArrayBuffer> {
  const pixels = new Uint32Array(values.length);
  const place = (value: number) => (scale === "log" ? Math.log(value) : value);
  const start = place(Math.min(low, high / 2));
  const steps = (SHADES - 1) / (place(high) - start);
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index]!;
    if (Number.isNaN(value)) continue;
    const shade = Math.round((place(value) - start) * steps);
    // Zero and less have no logarithm: they are at the lower end.
    pixels[index] = shades[Number.isFinite(value) ? Math.min(SHADES - 1, Math.max(0, shade || 0)) : SHADES]!;
  }
  return pixels;
}
