// Where the boxes of a graph lie within one that holds them.
import { Graph, layout as dagre } from "@dagrejs/dagre";
import type { Point } from "./graph_layout";

export type Item = { id: number; width: number; height: number };
export type Pair = [source: number, target: number];

/** The inside of a box, as its corner sees it. */
export interface Inside {
  width: number;
  height: number;
  corners: Map<number, Point>;
  /** By pair, its ends joined by a space: where an edge goes between them. */
  bends: Map<string, Point[]>;
}

/** By box: its inside, and what it was made of. */
export type Cache = Map<number, { key: string; inside: Inside }>;

/** Stand for the upper and the lower edge of the box itself. */
export const [ENTRY, EXIT] = [-2, -3];

const GAP = 18;
const RANK_GAP = 38;
/** Insides with more boxes than this are put in rows by a faster rule. */
const MOST_FOR_DAGRE = 80;

/** Gives what the cache has, unless something in the box is different. */
export function arrange(container: number, items: Item[], edges: Pair[], cache: Cache): Inside {
  const key = JSON.stringify([items, edges]);
  const cached = cache.get(container);
  if (cached?.key === key) return cached.inside;
  const inner = edges.filter(([source, target]) => !isPort(source) && !isPort(target));
  const ports = passing(edges, inner);
  const simple = ports.length === 0 && isChain(inner);
  const inside = items.length <= MOST_FOR_DAGRE && !simple ? byDagre(items, inner, ports) : byRows(items, inner);
  cache.set(container, { key, inside });
  return inside;
}

export function isPort(id: number): boolean {
  return id === ENTRY || id === EXIT;
}

/** The edges from and to outside that have to find a way past other boxes. */
function passing(edges: Pair[], inner: Pair[]): Pair[] {
  const [sources, targets] = ends(inner);
  return edges.filter(([source, target]) => (source === ENTRY && targets.has(target)) || (target === EXIT && sources.has(source)));
}

function ends(edges: Pair[]): [sources: Set<number>, targets: Set<number>] {
  return [new Set(edges.map(([source]) => source)), new Set(edges.map(([, target]) => target))];
}

/** Whether nothing branches: then rows of one box each are what any layout gives. */
function isChain(edges: Pair[]): boolean {
  const [sources, targets] = ends(edges);
  return sources.size === edges.length && targets.size === edges.length && edges.every(([source, target]) => source < target);
}

function byDagre(items: Item[], inner: Pair[], ports: Pair[]): Inside {
  const graph = new Graph();
  graph.setGraph({ rankdir: "TB", nodesep: GAP, edgesep: GAP, ranksep: RANK_GAP });
  for (const { id, width, height } of items) graph.setNode(String(id), { width, height });
  const edges = [...inner, ...ports];
  for (const [source, target] of edges) graph.setEdge(String(source), String(target), {});
  const [sources, targets] = ends(inner);
  for (const port of new Set(ports.map(([source, target]) => Math.min(source, target)))) {
    // The upper edge is above all boxes, the lower one below.
    graph.setNode(String(port), { width: 1, height: 1 });
    for (const { id } of items) {
      if (port === ENTRY && !targets.has(id)) graph.setEdge(String(port), String(id), {});
      if (port === EXIT && !sources.has(id)) graph.setEdge(String(id), String(port), {});
    }
  }
  dagre(graph);
  const { width = 0 } = graph.graph() as { width?: number };
  const corners = items.map((item): Point => {
    const { x, y } = graph.node(String(item.id)) as { x: number; y: number };
    return [x - item.width / 2, y - item.height / 2];
  });
  const top = Math.min(...corners.map(([, y]) => y));
  const height = Math.max(...corners.map(([, y], index) => y + items[index]!.height)) - top;
  const bends = edges.map((pair): [string, Point[]] => {
    const { points } = graph.edge(String(pair[0]), String(pair[1])) as { points: { x: number; y: number }[] };
    return [pair.join(" "), points.slice(1, -1).map(({ x, y }) => [x, y - top])];
  });
  return { width, height, corners: new Map(items.map(({ id }, i) => [id, [corners[i]![0], corners[i]![1] - top]])), bends: new Map(bends) };
}

/** Each box in the row below the last one that feeds it; long rows are broken so that the whole is about square. */
function byRows(items: Item[], edges: Pair[]): Inside {
  const rank = new Map(items.map(({ id }) => [id, 0]));
  for (const [source, target] of [...edges].sort((a, b) => a[1] - b[1])) {
    if (source < target) rank.set(target, Math.max(rank.get(target)!, rank.get(source)! + 1));
  }
  const ranks: Item[][] = [];
  for (const item of items) (ranks[rank.get(item.id)!] ??= []).push(item);
  const area = items.reduce((sum, { width, height }) => sum + (width + GAP) * (height + GAP), 0);
  const most = Math.max(600, 1.4 * Math.sqrt(area));
  const rows = ranks.flatMap((row) => broken(row, most));
  const width = Math.max(0, ...rows.map(lengthOf));
  const corners = new Map<number, Point>();
  let y = 0;
  rows.forEach((row, index) => {
    let x = (width - lengthOf(row)) / 2;
    for (const item of row) {
      corners.set(item.id, [x, y]);
      x += item.width + GAP;
    }
    const joined = edges.length > 0 && rank.get(row[0]!.id) !== rank.get(rows[index + 1]?.[0]?.id ?? -1);
    y += Math.max(...row.map(({ height }) => height)) + (joined ? RANK_GAP : GAP);
  });
  return { width, height: Math.max(0, y - (edges.length > 0 ? RANK_GAP : GAP)), corners, bends: new Map() };
}

function lengthOf(row: Item[]): number {
  return row.reduce((sum, { width }) => sum + width + GAP, -GAP);
}

function broken(row: Item[], most: number): Item[][] {
  const rows: Item[][] = [[]];
  for (const item of row) {
    if (rows.at(-1)!.length > 0 && lengthOf([...rows.at(-1)!, item]) > most) rows.push([]);
    rows.at(-1)!.push(item);
  }
  return rows;
}
