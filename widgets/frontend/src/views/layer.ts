// All metrics of the chosen layer over steps.
import { named } from "../bokeh";
import { chartIn } from "../charts";
import { h, setText } from "../dom";
import { layerLabel } from "../format";
import type { MetricInfo } from "../generated/messages";
import { colourRange } from "../grid";
import type { State } from "../store";
import { type Numbers, rowsBySteps, tableTwin } from "./table";
import { labelTicks } from "./ticks";
import { detailView } from "./layer_detail";
import type { Host, View } from "./view";

/** With more points than this a line reads better alone. */
const MOST_DOTS = 60;

export function layerView(host: Host, parent: HTMLElement): View {
  const choice = h("select", { "aria-label": "layer", "data-testid": "layer-select" });
  const type = h("span", { class: "ds-type" });
  const head = h("div", { class: "ds-section-head" }, h("h3", {}, "Layer"), choice, type);
  const plots = h("div", { class: "ds-lines", "data-testid": "layer-lines" });
  const twin = tableTwin(host, "The chosen layer by step", "layer-table");
  const element = h("section", { class: "ds-card" }, head, plots, twin.element);
  parent.append(element);
  const detail = detailView(host, element);
  head.append(detail.buttons);
  const lines = host.setup.metrics.map((metric) => line(host, metric, plots));
  let names = "";
  choice.addEventListener("change", () => host.select({ layer: Number(choice.value) }));

  return {
    update(state, { layer }) {
      const all = state.layers.map(layerLabel);
      if (all.join("\n") !== names) {
        names = all.join("\n");
        choice.replaceChildren(...all.map((name, index) => h("option", { value: index }, name)));
      }
      element.hidden = layer === null;
      if (layer === null) return;
      choice.value = String(layer);
      setText(type, state.layers[layer]?.type ?? "");
      plots.dataset["layer"] = state.layers[layer]?.name ?? "";
      for (const show of lines) show(state, layer);
      detail.show(state, state.layers[layer]?.name ?? "");
      twin.show(() => layerNumbers(host.setup.metrics, state, layer));
    },
    remove: detail.remove,
  };
}

function line(host: Host, metric: MetricInfo, parent: HTMLElement): (state: State, layer: number) => void {
  const plot = h("div", { class: "ds-plot", role: "img", "aria-label": `${metric.title} over steps`, title: metric.description });
  const absent = h("p", { class: "ds-empty" }, `${metric.title}: not measured in this layer`);
  const cell = h("div", { class: "ds-line" }, plot, absent);
  parent.append(cell);
  const redraw = chartIn(host, `layer/${metric.name}`, plot);

  return (state, layer) => {
    const row = state.rows.get(metric.name)?.indexOf(layer) ?? -1;
    const matrix = state.metrics.get(metric.name);
    plot.hidden = row < 0;
    absent.hidden = row >= 0;
    if (matrix === undefined || row < 0) return;
    const values = matrix.values.slice(row * matrix.columns, (row + 1) * matrix.columns);
    cell.dataset["points"] = String(values.length);
    redraw((chart) => {
      if (metric.scale === "log") {
        const axis = (chart.figure["left"] as Record<string, unknown>[])[0]!;
        labelTicks(chart.bokeh, axis, named(chart, "ticks"), ...colourRange(values as Float32Array, "log"));
      }
      const data = { step: Float32Array.from(state.steps), value: drawable(values as Float32Array, metric.scale) };
      named(chart, `layer/${metric.name}`)["data"] = data;
      named(chart, "dots")["visible"] = values.length <= MOST_DOTS;
    });
  };
}

/** What the lines show: each metric that was measured in the layer, by step. */
function layerNumbers(metrics: readonly MetricInfo[], state: State, layer: number): Numbers {
  const measured = metrics.filter(({ name }) => state.rows.get(name)?.includes(layer) && state.metrics.has(name));
  const columns = measured.map(({ name }) => {
    const { values, columns } = state.metrics.get(name)!;
    const row = state.rows.get(name)!.indexOf(layer);
    return values.slice(row * columns, (row + 1) * columns);
  });
  return { heads: ["step", ...measured.map(({ title }) => title)], rows: rowsBySteps(state.steps, columns) };
}

/** Zero and negative values have no place on a log axis, infinite ones on none. */
function drawable(values: Float32Array, scale: "log" | "linear"): Float32Array {
  return values.map((value) => (Number.isFinite(value) && (scale === "linear" || value > 0) ? value : NaN));
}
