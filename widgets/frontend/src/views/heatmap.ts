// Layer x step as colours; a row is a layer and can be chosen.
import { h, setText } from "../dom";
import { formatInteger, formatNumber, layerLabel } from "../format";
import type { MetricInfo } from "../generated/messages";
import { colourRange, toGrid, type Grid } from "../grid";
import type { State } from "../store";
import { heatCanvas } from "./heat_canvas";
import { tableTwin } from "./table";
import type { Host, View } from "./view";

/** Between the pointer and what is said of the cell below it. */
const TIP_DISTANCE = 12;

export function heatmapView(host: Host, parent: HTMLElement): View {
  const label = "The chosen metric of every layer over steps, as colours";
  const canvas = heatCanvas(host.root);
  const axis = h("div", { class: "ds-heat-axis" }, "step");
  const plot = h("div", { class: "ds-plot ds-heatmap", role: "img", "aria-label": label, "data-testid": "heatmap" }, ...canvas.elements, axis);
  Object.assign(plot.dataset, { updates: "0", columns: "0" });
  const none = h("p", { class: "ds-empty" });
  const tip = h("div", { class: "ds-tip", hidden: true });
  const stage = h("div", { class: "ds-stage" }, none, plot, tip);
  const hint = h("p", { class: "ds-hint" });
  const legend = h("p", { class: "ds-legend" }, h("span", { class: "ds-swatch" }), "NaN or infinite");
  const metrics = metricChoice(host);
  const head = h("div", { class: "ds-section-head" }, h("h3", {}, "Layers over steps"), metrics.element);
  const foot = h("div", { class: "ds-foot" }, hint, legend);
  const twin = tableTwin(host, "The chosen metric by layer", "heatmap-table");
  parent.append(h("section", { class: "ds-card ds-heat" }, head, stage, foot, twin.element));

  let shown: { grid: Grid; state: State; metric: MetricInfo; rows: number[] } | null = null;

  const at = (event: MouseEvent) => {
    const cell = canvas.at(event);
    const layer = cell && shown?.rows[cell.row];
    if (shown === null || cell === null || layer === undefined || layer === null) return null;
    const { grid, state } = shown;
    const value = grid.values[cell.row * grid.columns + cell.column]!;
    return { layer, name: layerLabel(state.layers[layer]!), value, step: state.steps[grid.source[cell.column]!] ?? 0 };
  };
  plot.addEventListener("click", (event) => {
    const point = at(event);
    if (point !== null) host.select({ layer: point.layer });
  });
  plot.addEventListener("pointermove", (event) => {
    const point = at(event);
    tip.hidden = point === null;
    if (point === null || shown === null) return;
    const value = `${shown.metric.title} ${formatNumber(point.value)}`;
    tip.replaceChildren(h("b", {}, point.name), h("span", {}, `step ${formatInteger(point.step)} · ${value}`));
    const { left, top, width } = stage.getBoundingClientRect();
    const x = event.clientX - left;
    const right = x > width / 2;
    tip.style.transform = `translate(${right ? "-100%" : "0"}, 0)`;
    tip.style.left = `${x + (right ? -TIP_DISTANCE : TIP_DISTANCE)}px`;
    tip.style.top = `${event.clientY - top + TIP_DISTANCE}px`;
  });
  plot.addEventListener("pointerleave", () => (tip.hidden = true));

  return {
    update(state, { metric, layer }) {
      metrics.show(metric);
      const rows = state.rows.get(metric.name) ?? [];
      const matrix = state.metrics.get(metric.name);
      if (matrix === undefined) return;
      const grid = toGrid(matrix, state.steps, state.stride, metric.worst);
      shown = { grid, state, metric, rows };
      const empty = grid.rows === 0 || matrix.columns === 0;
      plot.hidden = empty;
      none.hidden = !empty;
      setText(none, `No ${metric.title} was measured yet.`);
      const names = rows.map((row) => layerLabel(state.layers[row]!));
      if (!empty) canvas.show(grid, names, metric.scale, colourRange(grid.values, metric.scale));
      canvas.choose(layer === null ? -1 : rows.indexOf(layer));
      setText(hint, hintText(metric, state));
      legend.hidden = !grid.values.some((value) => Math.abs(value) === Infinity);
      twin.show(() => ({
        heads: ["layer", `step ${formatInteger(state.steps.at(-1) ?? 0)}`],
        rows: rows.map((layer, row) => [layerLabel(state.layers[layer]!), matrix.values[(row + 1) * matrix.columns - 1] ?? NaN]),
      }));
      plot.dataset["columns"] = String(matrix.columns);
      plot.dataset["updates"] = String(Number(plot.dataset["updates"]) + 1);
    },
  };
}

function metricChoice(host: Host) {
  const element = h("fieldset", { class: "ds-tabs", "aria-label": "metric" });
  const name = `ds-metric-${Math.random().toString(36).slice(2)}`;
  const inputs = host.setup.metrics.map((metric) => {
    const input = h("input", { type: "radio", name, value: metric.name });
    input.dataset["testid"] = `metric-${metric.name}`;
    input.addEventListener("change", () => host.select({ metric }));
    element.append(h("label", { title: metric.description }, input, h("span", {}, metric.title)));
    return input;
  });
  return {
    element,
    show({ name: chosen }: MetricInfo) {
      for (const input of inputs) input.checked = input.value === chosen;
    },
  };
}

function hintText(metric: MetricInfo, { stride }: State): string {
  const merged = stride > 1 ? ` Each column shows the ${metric.worst === "max" ? "largest" : "smallest"} of ${stride} steps.` : "";
  return metric.description + merged;
}
