// The numbers of the heat map by box of the graph.
import { lowerBound, type Matrix } from "./decode";
import type { FindingInfo, Layer, MetricInfo } from "./generated/messages";
import type { ModuleGraph } from "./graph";
import type { Box } from "./graph_tree";

export interface BoxLayers {
  /** The layer of the same name; null where nothing is measured. */
  own: number | null;
  /** With all that lies in the module. */
  all: ReadonlySet<number>;
}

/** Says which layers a box stands for: a function its own, a module and its calls all that lie in it. */
export function layerFinder({ nodes }: ModuleGraph, layers: readonly Layer[]): (box: Box) => BoxLayers {
  const places = new Map(layers.map(({ name }, index) => [name, index]));
  const inside = nodes.map(() => new Set<number>());
  // A module comes before those that lie in it.
  for (const { id, kind, parent, site } of [...nodes].reverse()) {
    if (kind === "input" || kind === "output") continue;
    const own = places.get(site);
    if (own !== undefined) inside[id]!.add(own);
    if (parent !== null) for (const layer of inside[id]!) inside[parent]!.add(layer);
  }
  return ({ node }) => ({
    own: node.kind === "input" || node.kind === "output" ? null : (places.get(node.site) ?? null),
    all: inside[node.kind === "call" ? node.parent! : node.id]!,
  });
}

/** The column that shows a step, the newest for null; -1 where there is none. */
export function columnAt(steps: Int32Array, step: number | null): number {
  return step === null ? steps.length - 1 : lowerBound(steps, step + 1) - 1;
}

/** By layer its value at a column; what was measured stays until it is measured again. */
export function valuesAt(matrix: Matrix, rows: readonly number[], column: number): Map<number, number> {
  const values = new Map<number, number>();
  rows.forEach((layer, row) => {
    for (let at = column; at >= 0; at -= 1) {
      const value = matrix.values[row * matrix.columns + at]!;
      if (Number.isNaN(value)) continue;
      values.set(layer, value);
      return;
    }
  });
  return values;
}

/** The layer with the worst value among some; null if none has one. */
export function worstOf(layers: Iterable<number>, values: Map<number, number>, worst: MetricInfo["worst"]): number | null {
  let found: number | null = null;
  const badness = (layer: number) => {
    const value = values.get(layer)!;
    return worst === "max" || Math.abs(value) === Infinity ? Math.abs(value) : -value;
  };
  for (const layer of layers) {
    if (values.has(layer) && (found === null || badness(layer) > badness(found))) found = layer;
  }
  return found;
}

/** Where a value lies between the ends of a colour scale, from 0 to 1. */
export function shareOf(value: number, [low, high]: [number, number], scale: MetricInfo["scale"]): number {
  const place = (x: number) => (scale === "log" ? Math.log(Math.max(x, Number.MIN_VALUE)) : x);
  // Values that are all alike still need a scale with two ends, as in the heat map.
  const start = place(Math.min(low, high / 2));
  return Math.min(1, Math.max(0, (place(value) - start) / (place(high) - start)));
}

/** The layers that findings are about. */
export function foundLayers(findings: readonly FindingInfo[], layers: readonly Layer[]): Set<number> {
  const found = new Set<number>();
  for (const site of new Set(findings.map((finding) => finding.site))) {
    const layer = layers.findIndex(({ name }) => name === site || site.startsWith(`${name}.`));
    if (layer >= 0) found.add(layer);
  }
  return found;
}
