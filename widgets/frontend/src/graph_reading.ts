// What the boxes of a graph stand for at one step: the numbers behind their colours, and findings.
import { formatNumber, layerLabel } from "./format";
import type { MetricInfo } from "./generated/messages";
import type { Box } from "./graph_tree";
import { type BoxLayers, columnAt, foundLayers, valuesAt, worstOf } from "./graph_values";
import { colourRange } from "./grid";
import type { State } from "./store";

export class Reading {
  /** The ends of the colour scale, the same at all steps. */
  readonly range: [number, number];
  readonly #values: Map<number, number>;
  readonly #found: Set<number>;

  /** `step` as the user chose it: null for the newest. */
  constructor(
    readonly state: State,
    readonly metric: MetricInfo,
    step: number | null,
    readonly layersOf: (box: Box) => BoxLayers,
  ) {
    const matrix = state.metrics.get(metric.name) ?? { rows: 0, columns: 0, values: new Float32Array() };
    this.range = colourRange(matrix.values as Float32Array, metric.scale);
    this.#values = valuesAt(matrix, state.rows.get(metric.name) ?? [], columnAt(state.steps, step));
    this.#found = foundLayers(state.findings, state.layers);
  }

  /** The layer that gives a box its colour: the worst of those in it; null where nothing was measured. */
  worst(box: Box): number | null {
    return worstOf(this.layersOf(box).all, this.#values, this.metric.worst);
  }

  value(box: Box): number | null {
    const layer = this.worst(box);
    return layer === null ? null : this.#values.get(layer)!;
  }

  valueText(box: Box): string {
    const layer = this.worst(box);
    if (layer === null) return "";
    const text = `${this.metric.title} ${formatNumber(this.#values.get(layer)!)}`;
    return layer === this.layersOf(box).own ? text : `${text} (worst: ${layerLabel(this.state.layers[layer]!)})`;
  }

  hasFinding(box: Box): boolean {
    const { all } = this.layersOf(box);
    return [...this.#found].some((layer) => all.has(layer));
  }
}
