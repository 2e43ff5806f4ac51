// Two recorded steps of the run side by side: the chosen metric over depth, and what changed in between.
import { named, type Chart } from "../bokeh";
import { compareColumns, DISTANCE, FACTOR, firstChanged, measuredColumns, mostChanged, threshold, type LayerChange } from "../compare";
import { h, setText } from "../dom";
import { layerLabel } from "../format";
import type { MetricInfo } from "../generated/messages";
import { colourRange } from "../grid";
import type { State } from "../store";
import { compareTable } from "./compare_table";
import { rowsChart } from "./compare_chart";
import { verdict } from "./compare_verdict";
import { metricSelect } from "./metric_select";
import { stepChoice, stepText } from "./steps";
import { labelTicks } from "./ticks";
import type { Host, View } from "./view";

export async function compareView(host: Host, parent: HTMLElement): Promise<View> {
  const choice = stepChoice(() => host.select({}));
  const metrics = metricSelect(host, "metric", "compare-metric");
  const most = verdict(host, "compare-most");
  const first = verdict(host, "compare-first");
  const none = h("p", { class: "ds-empty", "data-testid": "compare-none" });
  const head = h("div", { class: "ds-section-head" }, h("h3", {}, "Two steps"), choice.element, metrics.element);
  const words = h("div", { class: "ds-verdict" }, most.element, first.element);
  const plots = h("div", { class: "ds-pair", "data-testid": "compare-plots" });
  const hint = h("p", { class: "ds-hint" });
  const table = compareTable(host);
  const element = h("section", { class: "ds-card ds-compare" }, head, none, words, plots, hint, table.element);
  parent.append(element);

  const values = {
    log: await rowsChart(host, "compare/log", plots, "The chosen metric of every layer in steps A and B"),
    linear: await rowsChart(host, "compare/linear", plots, "The chosen metric of every layer in steps A and B"),
  };
  const changes = await rowsChart(host, "compare/change", plots, "How much the chosen metric of every layer changed from A to B");

  function show(state: State, metric: MetricInfo, layers: LayerChange[], layer: number | null): void {
    const shown = values[metric.scale];
    const names = layers.map((each) => layerLabel(state.layers[each.layer]!));
    const chosen = layers.findIndex((each) => each.layer === layer);
    for (const scale of ["log", "linear"] as const) values[scale].plot.hidden = scale !== metric.scale;
    for (const pair of [shown, changes]) pair.show(layers, names, chosen);
    shown.axis["axis_label"] = metric.title;
    if (metric.scale === "log") showTicks(shown, layers);
    changes.axis["axis_label"] = metric.scale === "log" ? "log10(B / A)" : "B − A";
    const limit = threshold(metric.scale);
    named(changes.chart, "limits")["data"] = { limit: [-limit, limit] };
    fill(shown.chart, changes.chart, metric.scale, layers);
    plots.dataset["layers"] = String(layers.length);
  }

  return {
    update(state, selection) {
      const { metric, layer } = selection;
      metrics.show(selection);
      const matrix = state.metrics.get(metric.name);
      const columns = matrix === undefined ? [] : measuredColumns(matrix);
      const pair = choice.among(columns, state.steps, state.stride);
      const enough = pair !== null && columns.length > 1;
      for (const part of [choice.element, words, plots, hint, table.element]) part.hidden = !enough;
      none.hidden = enough;
      setText(none, `${metric.title} was recorded in ${columns.length === 1 ? "one step" : "no step"} so far: there is nothing to compare.`);
      if (!enough) return;
      const layers = compareColumns(state, metric, ...pair);
      const [a, b] = pair.map((column) => stepText(state.steps[column]!, state.stride));
      const limit = metric.scale === "log" ? `a factor of ${FACTOR}` : String(DISTANCE);
      const between = `between ${a} and ${b}`;
      most.show(state, mostChanged(layers), metric.scale, `Changed most ${between}:`, `No layer changed ${between}.`);
      first.show(state, firstChanged(layers, metric.scale), metric.scale, `The one nearest the input that changed by more than ${limit}:`, `None changed by more than ${limit}.`);
      const merged = `Each side holds the ${metric.worst === "max" ? "largest" : "smallest"} of its ${state.stride} steps.`;
      setText(hint, `Dashed lines: a change by ${limit}, up or down. ${state.stride > 1 ? merged : ""}`);
      table.show(state, metric.scale, layers, layer);
      host.later(plots, () => show(state, metric, layers, layer));
    },
  };
}

function showTicks({ chart, axis }: { chart: Chart; axis: Record<string, unknown> }, layers: LayerChange[]): void {
  labelTicks(chart.bokeh, axis, named(chart, "ticks"), ...colourRange(Float32Array.from(layers.flatMap(({ a, b }) => [a, b])), "log"));
}

/** What is not finite, or not above zero on a log scale, has no place in a chart: the table tells it. */
function fill(values: Chart, changes: Chart, scale: MetricInfo["scale"], layers: LayerChange[]): void {
  const depth = layers.map((_, row) => row + 0.5);
  const drawn = (value: number) => (Number.isFinite(value) && (scale === "linear" || value > 0) ? value : NaN);
  named(values, "values")["data"] = { depth, a: layers.map(({ a }) => drawn(a)), b: layers.map(({ b }) => drawn(b)) };
  const change = layers.map((each) => (Number.isFinite(each.change) ? each.change : NaN));
  named(changes, "changes")["data"] = { depth, change };
}
