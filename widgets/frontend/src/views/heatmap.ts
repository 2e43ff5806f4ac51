// Layer x step as colours; a row is a layer and can be chosen.
import { embed, image, named, type PointEvent } from "../bokeh";
import { h, setText } from "../dom";
import { formatInteger, formatNumber, layerLabel } from "../format";
import type { MetricInfo } from "../generated/messages";
import { colourRange, toGrid, type Grid } from "../grid";
import type { State } from "../store";
import { showRows } from "./rows";
import { tableTwin } from "./table";
import { labelTicks } from "./ticks";
import { chartItem, type Host, type View } from "./view";

export async function heatmapView(host: Host, parent: HTMLElement): Promise<View> {
  const label = "The chosen metric of every layer over steps, as colours";
  const plot = h("div", { class: "ds-plot", role: "img", "aria-label": label, "data-testid": "heatmap" });
  Object.assign(plot.dataset, { updates: "0", columns: "0" });
  const none = h("p", { class: "ds-empty" });
  const tip = h("div", { class: "ds-tip", hidden: true });
  const hint = h("p", { class: "ds-hint" });
  const legend = h("p", { class: "ds-legend" }, h("span", { class: "ds-swatch" }), "NaN or infinite");
  const metrics = metricChoice(host);
  const head = h("div", { class: "ds-section-head" }, h("h3", {}, "Layers over steps"), metrics.element);
  const foot = h("div", { class: "ds-foot" }, hint, legend);
  const twin = tableTwin(host, "The chosen metric by layer", "heatmap-table");
  const element = h("section", { class: "ds-card ds-heat" }, head, h("div", { class: "ds-stage" }, none, plot, tip), foot, twin.element);
  parent.append(element);

  const chart = await embed(host.bokeh, chartItem(host.setup, "heatmap"), plot);
  const source = named(chart, "heatmap");
  const chosen = named(chart, "chosen");
  const range = chart.figure["x_range"] as Record<string, number>;
  let shown: { grid: Grid; state: State; metric: MetricInfo; rows: number[] } | null = null;
  let labels = "";

  const at = ({ x, y }: PointEvent) => {
    if (shown === null) return null;
    const { grid, rows, state } = shown;
    const cell = Math.floor(((x - grid.start) / grid.span) * grid.columns);
    const row = Math.floor(y);
    const layer = rows[row];
    if (layer === undefined || cell < 0 || cell >= grid.columns) return null;
    const value = grid.values[row * grid.columns + cell]!;
    return { layer, name: layerLabel(state.layers[layer]!), value, step: state.steps[grid.source[cell]!] ?? 0 };
  };
  chart.figure.on_event("tap", (event) => {
    const point = at(event);
    if (point !== null) host.select({ layer: point.layer });
    // The chart takes no keys: its focus frame would only disturb.
    (document.activeElement as HTMLElement | null)?.blur();
  });
  chart.figure.on_event("mousemove", (event) => {
    const point = at(event);
    tip.hidden = point === null;
    if (point === null || shown === null) return;
    const step = `step ${formatInteger(point.step)}`;
    const value = `${shown.metric.title} ${formatNumber(point.value)}`;
    tip.replaceChildren(h("b", {}, point.name), h("span", {}, `${step} · ${value}`));
    const right = event.sx > plot.clientWidth / 2;
    tip.style.transform = `translate(${right ? "-100%" : "0"}, 0)`;
    tip.style.left = `${event.sx + (right ? -12 : 12)}px`;
    tip.style.top = `${event.sy + 12}px`;
  });
  plot.addEventListener("mouseleave", () => (tip.hidden = true));

  function showLabels(state: State, rows: number[]): void {
    const names = rows.map((row) => layerLabel(state.layers[row]!));
    if (names.join("\n") === labels) return;
    labels = names.join("\n");
    showRows(host.bokeh, chart.figure, names);
  }

  return {
    charts: [chart],
    update(state, { metric, layer }) {
      metrics.show(metric);
      const rows = state.rows.get(metric.name) ?? [];
      const matrix = state.metrics.get(metric.name);
      if (matrix === undefined) return;
      const grid = toGrid(matrix, state.steps, state.stride, metric.worst);
      shown = { grid, state, metric, rows };
      showLabels(state, rows);
      const ends = colourRange(grid.values, metric.scale);
      showScale(chart, metric, ends);
      if (metric.scale === "log") labelTicks(host.bokeh, named(chart, "log_bar"), named(chart, "log_ticks"), ...ends);
      range["start"] = grid.start;
      range["end"] = grid.start + grid.span;
      const empty = grid.rows === 0 || matrix.columns === 0;
      plot.hidden = empty;
      none.hidden = !empty;
      setText(none, `No ${metric.title} was measured yet.`);
      source["data"] = {
        image: empty ? [] : [image(host.bokeh, grid.values, grid.rows, grid.columns)],
        x: empty ? [] : [grid.start],
        y: empty ? [] : [0],
        dw: empty ? [] : [grid.span],
        dh: empty ? [] : [grid.rows],
      };
      const row = layer === null ? -1 : rows.indexOf(layer);
      chosen.setv({ top: row, bottom: row + 1, visible: row >= 0 });
      setText(hint, hintText(metric, state));
      legend.hidden = !grid.values.some((value) => Math.abs(value) === Infinity);
      twin.show(() => ({
        heads: ["layer", `step ${formatInteger(state.steps.at(-1) ?? 0)}`],
        rows: rows.map((layer, row) => [layerLabel(state.layers[layer]!), matrix.values[(row + 1) * matrix.columns - 1] ?? NaN]),
      }));
      plot.dataset["columns"] = String(matrix.columns);
      plot.dataset["updates"] = String(Number(plot.dataset["updates"]) + 1);
    },
    remove: chart.remove,
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

function showScale(chart: Parameters<typeof named>[0], metric: MetricInfo, [low, high]: [number, number]): void {
  for (const scale of ["log", "linear"] as const) {
    const visible = scale === metric.scale;
    named(chart, `${scale}_image`)["visible"] = visible;
    named(chart, `${scale}_bar`)["visible"] = visible;
    // Values that are all alike still need a scale with two ends.
    if (visible) named(chart, `${scale}_colors`).setv({ low: Math.min(low, high / 2), high });
  }
}

function hintText(metric: MetricInfo, { stride }: State): string {
  const merged = stride > 1 ? ` Each column shows the ${metric.worst === "max" ? "largest" : "smallest"} of ${stride} steps.` : "";
  return metric.description + merged;
}
