// Graphs of small models, written as a list of lines.
import type { TensorLayout } from "../src/generated/messages";
import type { ModuleGraph, Node } from "../src/graph";

export const LAYOUT: TensorLayout = { dtype: "float32", shape: [2, 4], bytes: 32 };

type Line = [kind: Node["kind"], site: string, parent?: number, caller?: number, call?: number];

export function graphOf(lines: Line[], edges: [number, number, TensorLayout?][], complete = true): ModuleGraph {
  return {
    nodes: lines.map(([kind, site, parent, caller, call], id) => ({
      id,
      site,
      kind,
      type: kind === "function" ? site.split(":")[1]! : `${site}-type`,
      parent: parent ?? null,
      caller: caller ?? null,
      call: call ?? 0,
      layout: kind === "module" ? null : LAYOUT,
    })),
    edges: edges.map(([source, target, layout]) => ({ source, target, layout: layout ?? LAYOUT })),
    complete,
    note: complete ? "" : "compiled",
  };
}

/** Two residual blocks in a list: x + second(first(x)), and a function that uses the weight of the embedding again. */
export function residual(): ModuleGraph {
  return graphOf(
    [
      ["module", "Net"],
      ["module", "embed", 0],
      ["module", "blocks", 0],
      ["module", "blocks.0", 2],
      ["module", "blocks.0.first", 3],
      ["module", "blocks.0.second", 3],
      ["module", "blocks.1", 2],
      ["module", "blocks.1.first", 6],
      ["module", "blocks.1.second", 6],
      ["input", "input.0", 0], // 9
      ["call", "Net", 0],
      ["call", "embed", 1, 10],
      ["call", "blocks.0", 3, 10], // 12
      ["call", "blocks.0.first", 4, 12],
      ["call", "blocks.0.second", 5, 12],
      ["function", "blocks.0:add", 3, 12],
      ["call", "blocks.1", 6, 10], // 16
      ["call", "blocks.1.first", 7, 16],
      ["call", "blocks.1.second", 8, 16],
      ["function", "blocks.1:add", 6, 16],
      ["function", "Net:linear", 0, 10], // 20
      ["output", "output", 0],
    ],
    [
      [9, 11],
      [11, 13],
      [13, 14],
      [11, 15],
      [14, 15],
      [15, 17],
      [17, 18],
      [15, 19, { dtype: "float16", shape: [4], bytes: 8 }],
      [18, 19],
      [19, 20],
      [1, 20],
      [20, 21],
    ],
  );
}

/** The same layer three times. */
export function reused(): ModuleGraph {
  return graphOf(
    [
      ["module", "Net"],
      ["module", "shared", 0],
      ["input", "input.0", 0],
      ["call", "Net", 0],
      ["call", "shared", 1, 3, 0],
      ["call", "shared", 1, 3, 1],
      ["call", "shared", 1, 3, 2],
      ["output", "output", 0],
    ],
    [
      [2, 4],
      [4, 5],
      [5, 6],
      [6, 7],
    ],
  );
}
