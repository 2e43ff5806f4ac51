// The module graph as the views use it.
import type { Matrix } from "./decode";
import type { Graph, TensorLayout } from "./generated/messages";

/** In the order of the numbers that stand for them in a message. */
const KINDS = ["module", "call", "function", "input", "output"] as const;

export interface Node {
  /** Position among the nodes. */
  id: number;
  /** As in the tables of the run; a layer's name for modules and their calls. */
  site: string;
  type: string;
  kind: (typeof KINDS)[number];
  /** The module that it lies in. */
  parent: number | null;
  /** The call during which it was called. */
  caller: number | null;
  /** How many-th of the same site in the forward, from 0. */
  call: number;
  /** What comes out; null for none. */
  layout: TensorLayout | null;
}

export interface Edge {
  source: number;
  target: number;
  layout: TensorLayout;
}

export interface ModuleGraph {
  nodes: Node[];
  edges: Edge[];
  complete: boolean;
  /** Why it is not complete. */
  note: string;
}

/** Throws an error that says what does not fit. */
export function readGraph({ complete, note, texts, layouts }: Graph, arrays: Map<string, Matrix>): ModuleGraph {
  const nodes = columns(arrays, "nodes", 7).map(([kind, parent, caller, call, site, type, layout], id): Node => ({
    id,
    kind: at(KINDS, kind, "a kind"),
    parent: optional(parent, id),
    caller: optional(caller, id),
    call: call!,
    site: at(texts, site, "a text"),
    type: at(texts, type, "a text"),
    layout: layout === -1 ? null : at(layouts, layout, "a layout"),
  }));
  const edges = columns(arrays, "edges", 3).map(([source, target, layout]): Edge => {
    if (source! < 0 || source! >= target! || target! >= nodes.length) throw new Error("an edge joins no two nodes");
    return { source: source!, target: target!, layout: at(layouts, layout, "a layout") };
  });
  return { nodes, edges, complete, note };
}

function columns(arrays: Map<string, Matrix>, name: string, rows: number): number[][] {
  const matrix = arrays.get(name);
  if (matrix === undefined || (matrix.values.length > 0 && matrix.rows !== rows)) throw new Error(`${name} do not fit`);
  return Array.from({ length: matrix.columns }, (_, column) =>
    Array.from({ length: rows }, (_, row) => whole(matrix.values[row * matrix.columns + column]!)),
  );
}

function whole(value: number): number {
  if (!Number.isInteger(value)) throw new Error(`${value} is no whole number`);
  return value;
}

function at<T>(items: readonly T[], index: number | undefined, what: string): T {
  const item = items[index ?? -1];
  if (item === undefined) throw new Error(`${what} is missing`);
  return item;
}

/** The id of a node that lies before this one; null for -1. */
function optional(id: number | undefined, limit: number): number | null {
  if (id === undefined || id < -1 || id >= limit) throw new Error(`${id} is no node`);
  return id === -1 ? null : id;
}
