// How the values of one tensor are distributed: by value, and by magnitude beside the ranges of narrower formats.
import { FORMATS, type Histogram } from "../detail";
import { h, setText, svg } from "../dom";
import { formatInteger, formatNumber, formatShare } from "../format";

export interface HistogramView {
  element: HTMLElement;
  show(histogram: Histogram): void;
}

const KINDS = {
  activation: "Activation",
  activation_gradient: "Gradient of the activation",
  gradient: "Gradient",
  parameter: "Values",
} as const;

/** Sizes of a drawing. */
const WIDTH = 300;
const LEFT = 54;
const TOP = 6;
const HEIGHT = 80;
const RIGHT = WIDTH - 8;
const BOTTOM = TOP + HEIGHT;
const RANGE_HEIGHT = 13;

/** Binary exponents that are shown at least, so that the ranges of the small formats can be seen. */
const FEWEST_EXPONENTS = [-26, 17] as const;

export function histogramView(): HistogramView {
  const title = h("h4", {});
  const facts = h("p", { class: "ds-note" });
  const byValue = svg("svg", { viewBox: `0 0 ${WIDTH} ${BOTTOM + 32}`, role: "img" });
  const byMagnitude = svg("svg", { viewBox: `0 0 ${WIDTH} ${BOTTOM + 48 + FORMATS.length * RANGE_HEIGHT}`, role: "img" });
  const losses = h("table", { "aria-label": "What narrower formats would lose" });
  const bins = h("tbody");
  const head = h("tr", {}, ...["from", "to", "elements"].map((text) => h("th", { scope: "col", class: "ds-number" }, text)));
  const scroll = h("div", { class: "ds-scroll", tabindex: 0 }, h("table", {}, h("thead", {}, head), bins));
  const twin = h("details", {}, h("summary", {}, "Numbers"), scroll);
  const element = h("div", { class: "ds-histogram", "data-testid": "histogram" }, title, facts, byValue, byMagnitude, losses, twin);
  return {
    element,
    show(histogram) {
      const name = titleOf(histogram);
      setText(title, name);
      setText(facts, factsOf(histogram));
      element.dataset["kind"] = histogram.kind;
      drawValues(byValue, histogram);
      drawMagnitudes(byMagnitude, histogram);
      byValue.setAttribute("aria-label", `${name}: elements by value. ${factsOf(histogram)}`);
      byMagnitude.setAttribute("aria-label", `${name}: elements by magnitude, and the ranges of narrower formats.`);
      losses.replaceChildren(...lossRows(histogram));
      bins.replaceChildren(...binRows(histogram));
    },
  };
}

function titleOf({ kind, tensor }: Histogram): string {
  if (kind === "parameter") return tensor;
  if (kind === "gradient") return `Gradient of ${tensor}`;
  return tensor === "" ? KINDS[kind] : `${KINDS[kind]} ${tensor}`;
}

function factsOf({ dtype, numel, zeros, nonfinite, low, high }: Histogram): string {
  const range = low === null || high === null ? "" : `, from ${formatNumber(low, 3)} to ${formatNumber(high, 3)}`;
  const lost = nonfinite > 0 ? `, ${formatInteger(nonfinite)} NaN or infinite` : "";
  return `${formatInteger(numel)} elements of ${dtype}${range}, ${formatShare(numel > 0 ? zeros / numel : null)} zero${lost}`;
}

function drawValues(target: SVGElement, { counts, low, high }: Histogram): void {
  const parts: SVGElement[] = [...bars(counts), ...countAxis(counts)];
  if (low !== null && high !== null) {
    for (const [share, anchor] of [[0, "start"], [0.5, "middle"], [1, "end"]] as const) {
      parts.push(label(LEFT + share * (RIGHT - LEFT), BOTTOM + 13, formatNumber(low + share * (high - low), 3), anchor));
    }
  }
  target.replaceChildren(...parts, label((LEFT + RIGHT) / 2, BOTTOM + 28, "value", "middle"));
}

function drawMagnitudes(target: SVGElement, { exponents, firstExponent }: Histogram): void {
  const counted = exponents.some((count) => count > 0);
  const from = Math.min(FEWEST_EXPONENTS[0], counted ? firstExponent : 0);
  const to = Math.max(FEWEST_EXPONENTS[1], counted ? firstExponent + exponents.length : 0);
  const counts = Array.from({ length: to - from }, (_, index) => exponents[from + index - firstExponent] ?? 0);
  const place = (exponent: number) => LEFT + ((clamp(exponent, from, to) - from) / (to - from)) * (RIGHT - LEFT);
  const every = Math.max(8, Math.ceil((to - from) / 6 / 8) * 8);
  const ticks = Array.from({ length: to - from + 1 }, (_, index) => from + index).filter((tick) => tick % every === 0);
  const ranges = FORMATS.flatMap(({ name, smallest, normal, largest }, index) => {
    const y = BOTTOM + 40 + index * RANGE_HEIGHT;
    const line = (start: number, end: number, kind: string) =>
      svg("line", { x1: place(Math.log2(start)), x2: place(Math.log2(end)), y1: y - 3, y2: y - 3, class: kind });
    return [
      label(LEFT - 4, y, name.replace("float", "f"), "end"),
      line(smallest, normal, "ds-subnormal"),
      line(normal, largest, "ds-normal"),
    ];
  });
  target.replaceChildren(
    ...bars(counts),
    ...countAxis(counts),
    ...ticks.map((tick) => label(place(tick), BOTTOM + 13, power(tick), "middle")),
    label((LEFT + RIGHT) / 2, BOTTOM + 27, "magnitude", "middle"),
    ...ranges,
    label((LEFT + RIGHT) / 2, BOTTOM + 42 + FORMATS.length * RANGE_HEIGHT, "solid: full precision, dashed: subnormal", "middle"),
  );
}

function bars(counts: number[]): SVGElement[] {
  const most = Math.max(1, ...counts);
  const width = (RIGHT - LEFT) / counts.length;
  return counts.flatMap((count, index) => {
    if (count === 0) return [];
    const height = Math.max(1, (count / most) * HEIGHT);
    return [svg("rect", { x: LEFT + index * width, y: BOTTOM - height, width: width * 0.9, height, class: "ds-bar" })];
  });
}

function countAxis(counts: number[]): SVGElement[] {
  return [
    svg("line", { x1: LEFT, x2: RIGHT, y1: BOTTOM, y2: BOTTOM, class: "ds-axis" }),
    label(LEFT - 4, TOP + 8, formatNumber(Math.max(0, ...counts), 3), "end"),
    label(LEFT - 4, BOTTOM, "0", "end"),
    label(LEFT - 4, (TOP + BOTTOM) / 2 + 4, "elements", "end"),
  ];
}

function lossRows({ losses, numel }: Histogram): HTMLElement[] {
  const share = (count: number) => (count > 0 && count / numel < 0.0005 ? "< 0.1 %" : formatShare(numel > 0 ? count / numel : null));
  const titles = ["rounded to", "zero", "subnormal", "too large"];
  const head = h("thead", {}, h("tr", {}, ...titles.map((title, place) => h("th", { scope: "col", class: place > 0 ? "ds-number" : null }, title))));
  const rows = losses.map(({ underflow, subnormal, overflow }, place) => {
    const cell = (count: number, alarms: boolean) => h("td", { class: alarms && count > 0 ? "ds-number ds-lost" : "ds-number" }, share(count));
    return h("tr", {}, h("th", { scope: "row" }, FORMATS[place]!.name), cell(underflow, true), cell(subnormal, false), cell(overflow, true));
  });
  return [head, h("tbody", {}, ...rows)];
}

function binRows({ counts, low, high }: Histogram): HTMLElement[] {
  if (low === null || high === null) return [];
  const edge = (index: number) => formatNumber(low + (index / counts.length) * (high - low));
  return counts.map((count, index) =>
    h("tr", {}, ...[edge(index), edge(index + 1), formatInteger(count)].map((text) => h("td", { class: "ds-number" }, text))),
  );
}

function label(x: number, y: number, text: string, anchor: "start" | "middle" | "end"): SVGElement {
  return svg("text", { x, y, "text-anchor": anchor }, text);
}

/** A power of two, as it is read. */
function power(exponent: number): string {
  return `2${[...String(exponent)].map((sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(sign)])).join("")}`;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
