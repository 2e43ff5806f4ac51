// The features that moved an output most, as bars with 95 % intervals; the others are one bar together.
import { h } from "../dom";
import { featureCount, featureLabel, rowOf, type InputValues } from "../explanation";
import { formatInteger, formatNumber, shorten } from "../format";
import { INTERVAL } from "./attribution_trust";

const MOST_BARS = 20;
const LABEL_LENGTH = 40;

interface Bar {
  label: string;
  value: number;
  /** Standard error; 0 where values are exact. */
  error: number;
}

export interface AttributionPart {
  element: HTMLElement;
  /** Shows a row, whose values are at that place of the arrays. */
  show(input: InputValues, row: number, place: number): void;
}

export function attributionBars(): AttributionPart {
  const list = h("div", { class: "ds-bars", role: "img", "data-testid": "explain-bars" });
  const foot = h("p", { class: "ds-note" });
  const element = h("div", {}, list, foot);
  return {
    element,
    show(input, row, place) {
      element.hidden = input.info.height > 0 && input.cells === null;
      if (element.hidden) return;
      const bars = barsOf(input, row, place);
      const reach = Math.max(1e-300, ...bars.map(({ value, error }) => Math.abs(value) + INTERVAL * error).filter(Number.isFinite));
      list.replaceChildren(...bars.map((bar) => lineOf(bar, reach)));
      const [first] = bars;
      list.setAttribute("aria-label", first === undefined ? "No attributions" : `The largest attribution: ${first.label}, ${told(first)}`);
      foot.textContent = `Attributions in units of the output${input.errors === null ? "" : "; lines: 95 % intervals"}.`;
    },
  };
}

/** The strongest first, at the end all others together. */
function barsOf(input: InputValues, row: number, place: number): Bar[] {
  const values = rowOf(input.values, place);
  const errors = input.errors && rowOf(input.errors, place);
  const order = strongest(values.subarray(0, featureCount(input, row)));
  const bars = order.slice(0, MOST_BARS).map((index) => ({
    label: featureLabel(input, row, index),
    value: values[index]!,
    error: errors?.[index] ?? 0,
  }));
  const rest = order.slice(MOST_BARS);
  if (rest.length === 0) return bars;
  const sum = (of: (index: number) => number) => rest.reduce((total, index) => total + of(index), 0);
  const error = Math.sqrt(sum((index) => (errors?.[index] ?? 0) ** 2));
  return [...bars, { label: `${formatInteger(rest.length)} others together`, value: sum((index) => values[index]!), error }];
}

/** The places of numbers, the largest magnitude first. */
export function strongest(values: ArrayLike<number>): number[] {
  const size = (index: number) => Math.abs(values[index]!) || 0;
  return Array.from({ length: values.length }, (_, index) => index).sort((a, b) => size(b) - size(a));
}

function lineOf(bar: Bar, reach: number): HTMLElement {
  const percent = (value: number) => 50 + (50 * value) / reach;
  const span = (kind: string, from: number, to: number) => {
    const element = h("span", { class: kind });
    element.style.left = `${Math.min(percent(from), percent(to))}%`;
    element.style.width = `${Math.abs(percent(to) - percent(from))}%`;
    return element;
  };
  const value = Number.isFinite(bar.value) ? bar.value : 0;
  const track = h("span", { class: "ds-track" }, span(value < 0 ? "ds-lowered" : "ds-raised", 0, value));
  if (bar.error > 0) track.append(span("ds-interval", value - INTERVAL * bar.error, value + INTERVAL * bar.error));
  const label = h("span", { class: "ds-bar-label", title: bar.label }, shorten(bar.label, LABEL_LENGTH));
  return h("div", { class: "ds-bar-line" }, label, track, h("span", { class: "ds-number" }, told(bar)));
}

/** A value and its 95 % interval, in words. */
export function told({ value, error }: Pick<Bar, "value" | "error">): string {
  const sign = value > 0 ? "+" : "";
  return `${sign}${formatNumber(value, 3)}${error > 0 ? ` ± ${formatNumber(INTERVAL * error, 2)}` : ""}`;
}
