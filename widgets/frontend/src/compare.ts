// Two recorded steps of one run side by side: each layer's value in both, and how far they are apart.
import type { Matrix } from "./decode";
import type { MetricInfo } from "./generated/messages";
import type { State } from "./store";

type Scale = MetricInfo["scale"];

export interface LayerChange {
  /** Index into the layers. */
  layer: number;
  /** Value in step A; NaN where it was not measured, infinite where the tensor held NaN or infinities. */
  a: number;
  b: number;
  /** log10(b / a) on a log scale, else b − a; NaN where one of them was not measured. */
  change: number;
}

/** What counts as a change: a factor on a log scale, else a distance. */
export const FACTOR = 2;
export const DISTANCE = 0.1;

export function threshold(scale: Scale): number {
  return scale === "log" ? Math.log10(FACTOR) : DISTANCE;
}

/** The columns in which any layer was measured, in order: each metric is measured in steps of its own. */
export function measuredColumns({ rows, columns, values }: Matrix): number[] {
  return Array.from({ length: columns }, (_, column) => column).filter((column) => {
    for (let row = 0; row < rows; row += 1) if (!Number.isNaN(values[row * columns + column]!)) return true;
    return false;
  });
}

/** The one of the columns that lies nearest to a step; of two alike the earlier one. There must be a column. */
export function nearestColumn(columns: readonly number[], steps: Int32Array, step: number): number {
  const distance = (column: number) => Math.abs(steps[column]! - step);
  return columns.reduce((best, column) => (distance(column) < distance(best) ? column : best));
}

/** One entry per layer that has the metric, from the input to the output. */
export function compareColumns(state: State, metric: MetricInfo, a: number, b: number): LayerChange[] {
  const matrix = state.metrics.get(metric.name);
  return (state.rows.get(metric.name) ?? []).map((layer, row) => {
    const at = (column: number) => matrix?.values[row * matrix.columns + column] ?? NaN;
    return { layer, a: at(a), b: at(b), change: changeOf(at(a), at(b), metric.scale) };
  });
}

function changeOf(a: number, b: number, scale: Scale): number {
  if (a === b) return 0;
  return scale === "log" ? Math.log10(b / a) : b - a;
}

/** The layer that changed most, if any did. */
export function mostChanged(layers: readonly LayerChange[]): LayerChange | null {
  const more = (a: LayerChange, b: LayerChange | null) => Math.abs(a.change) > Math.abs(b?.change ?? 0);
  return layers.reduce<LayerChange | null>((best, each) => (more(each, best) ? each : best), null);
}

/** The layer nearest the input that changed by more than the threshold. */
export function firstChanged(layers: readonly LayerChange[], scale: Scale): LayerChange | null {
  return layers.find(({ change }) => Math.abs(change) > threshold(scale)) ?? null;
}
