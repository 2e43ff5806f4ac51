// What the colours of the graph mean: the metric, its scale, and the step that is shown.
import { h, setText } from "../dom";
import { formatInteger, formatNumber } from "../format";
import { columnAt, shareOf } from "../graph_values";
import type { State } from "../store";
import type { Host, Selection } from "./view";

const STOPS = 5;
/** From here on dark letters are read better. */
const LIGHT_FROM = 0.45;

/** The colour of a value, and whether it is `dark` or `light`, an `alarm`, or `none`. */
export function paintOf(value: number | null, range: [number, number], scale: "log" | "linear"): { fill: string; tone: string } {
  if (value === null) return { fill: "", tone: "none" };
  if (Math.abs(value) === Infinity) return { fill: "var(--ds-alarm)", tone: "alarm" };
  const share = shareOf(value, range, scale);
  const stop = Math.min(STOPS - 2, Math.floor(share * (STOPS - 1)));
  const percent = Math.round((share * (STOPS - 1) - stop) * 100);
  const fill = `color-mix(in srgb, var(--ds-scale-${stop + 1}) ${percent}%, var(--ds-scale-${stop}))`;
  return { fill, tone: share < LIGHT_FROM ? "dark" : "light" };
}

export function legend(): { element: HTMLElement; show(selection: Selection, range: [number, number]): void } {
  const [title, low, high] = [h("b"), h("span"), h("span")];
  const alarm = h("span", { class: "ds-legend" }, h("span", { class: "ds-swatch" }), "NaN or infinite");
  const none = h("span", { class: "ds-legend" }, h("span", { class: "ds-swatch ds-unmeasured" }), "not measured");
  const ramp = h("span", { class: "ds-ramp" });
  const element = h("p", { class: "ds-graph-legend", "data-testid": "graph-legend" }, title, low, ramp, high, alarm, none);
  return {
    element,
    show({ metric }, range) {
      setText(title, `${metric.title}${metric.scale === "log" ? " (log)" : ""}`);
      setText(low, formatNumber(Math.min(range[0], range[1] / 2), 3));
      setText(high, formatNumber(range[1], 3));
    },
  };
}

/** The slider over the recorded steps. */
export function stepSlider(host: Host): { element: HTMLElement; show(state: State, selection: Selection): void } {
  const slider = h("input", { type: "range", min: 0, max: 0, "aria-label": "step", "data-testid": "graph-step" });
  const text = h("output", { "data-testid": "graph-step-text" });
  const newest = h("button", { type: "button", "data-testid": "graph-newest" }, "Newest");
  let steps: Int32Array = new Int32Array();
  slider.addEventListener("input", () => {
    const column = Number(slider.value);
    host.select({ step: column === steps.length - 1 ? null : steps[column]! });
  });
  newest.addEventListener("click", () => host.select({ step: null }));
  return {
    element: h("div", { class: "ds-graph-time" }, h("span", {}, "Step"), slider, text, newest),
    show(state, { step }) {
      steps = state.steps;
      const column = Math.max(0, columnAt(steps, step));
      slider.max = String(Math.max(0, steps.length - 1));
      slider.value = String(column);
      slider.disabled = steps.length < 2;
      newest.disabled = step === null;
      const shown = steps.length > 0 ? formatInteger(steps[column]!) : "–";
      slider.setAttribute("aria-valuetext", `step ${shown}`);
      setText(text, shown);
    },
  };
}
