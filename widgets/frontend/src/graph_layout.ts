// Where the boxes and links of a graph lie: each expanded box is laid out for itself, the inner ones first.
import { Graph, layout as dagre } from "@dagrejs/dagre";

export interface Placeable {
  id: number;
  parent: number | null;
  /** Of a box that is expanded: the least; what lies in it makes it as large as needed. */
  width: number;
  height: number;
}

export interface Joint {
  source: number;
  target: number;
  /** Width of its label. */
  label: number;
}

export interface Request {
  boxes: Placeable[];
  joints: Joint[];
}

export type Point = [x: number, y: number];

export interface Rectangle {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Layout {
  width: number;
  height: number;
  /** One for each box, in their order. */
  places: Rectangle[];
  /** One for each joint: from the source's lower edge to the target's upper one. */
  paths: Point[][];
  /** The middle of each joint's label, null where there is no room for it. */
  labels: (Point | null)[];
}

type Item = { id: number; width: number; height: number };
type Pair = [source: number, target: number];

/** The inside of a box, as its corner sees it. */
interface Inside {
  width: number;
  height: number;
  corners: Map<number, Point>;
  bends: Map<string, Point[]>;
}

/** By box: its inside, and what it was made of. */
export type Cache = Map<number, { key: string; inside: Inside }>;

export const HEADER = 26;
const PADDING = 12;
const LABEL_HEIGHT = 14;
const GAP = 18;
const RANK_GAP = 38;
/** Insides with more boxes than this are put in rows by a faster rule. */
const MOST_FOR_DAGRE = 80;
const OUTSIDE = -1;
/** Height of the stripes by which what lies near is found. */
const BAND = 100;
/** From the end of a joint to a label beside it. */
const CLOSE = 15;

/** Only boxes whose inside is not the one in the cache are laid out. */
export function place({ boxes, joints }: Request, cache: Cache): Layout {
  const known = new Map(boxes.map((box) => [box.id, box]));
  const inside = new Map<number, Placeable[]>([[OUTSIDE, []]]);
  for (const box of boxes) {
    const parent = box.parent ?? OUTSIDE;
    if (!inside.has(parent)) inside.set(parent, []);
    inside.get(parent)!.push(box);
  }
  const lifted = joints.map((joint) => lift(joint, known));
  const edges = new Map<number, Map<string, Pair>>();
  const longest = new Map<number, number>();
  lifted.forEach(({ container, source, target }, index) => {
    if (!edges.has(container)) edges.set(container, new Map());
    edges.get(container)!.set(`${source} ${target}`, [source, target]);
    longest.set(container, Math.max(longest.get(container) ?? 0, joints[index]!.label));
  });
  const sizes = new Map(boxes.map(({ id, width, height }) => [id, { width, height }]));
  const insides = new Map<number, Inside>();
  for (const container of [...inside.keys()].sort((a, b) => b - a)) {
    const items = inside.get(container)!.map(({ id }) => ({ id, ...sizes.get(id)! }));
    const found = arrange(container, items, [...(edges.get(container)?.values() ?? [])], cache);
    insides.set(container, found);
    const least = sizes.get(container);
    if (least === undefined) continue;
    const width = Math.max(least.width, found.width + 2 * PADDING, (longest.get(container) ?? 0) + PADDING);
    sizes.set(container, { width, height: found.height + HEADER + PADDING });
  }
  const corners = new Map<number, Point>([[OUTSIDE, [0, 0]]]);
  for (const { id, parent } of boxes) {
    const [left, top] = corner(parent ?? OUTSIDE);
    const [x, y] = insides.get(parent ?? OUTSIDE)!.corners.get(id)!;
    corners.set(id, [left + x, top + y]);
  }
  /** Where the inside of a box begins. */
  function corner(container: number): Point {
    const [x, y] = corners.get(container)!;
    if (container === OUTSIDE) return [x, y];
    return [x + (sizes.get(container)!.width - insides.get(container)!.width) / 2, y + HEADER];
  }
  const rectangle = (id: number): Rectangle => ({ x: corners.get(id)![0], y: corners.get(id)![1], ...sizes.get(id)! });
  const paths = joints.map((joint, index) => {
    const { container, source, target } = lifted[index]!;
    const [left, top] = corner(container);
    const bends = insides.get(container)!.bends.get(`${source} ${target}`) ?? [];
    const [from, to] = [rectangle(joint.source), rectangle(joint.target)];
    const start: Point = [from.x + from.width / 2, from.y + from.height];
    return [start, ...bends.map(([x, y]): Point => [left + x, top + y]), [to.x + to.width / 2, to.y] as Point];
  });
  const areas = boxes.map(({ id }) => rectangle(id));
  // Texts stand in all of a collapsed box, and at the upper edge of one that is expanded.
  const texts = areas.map((area, index) => (inside.has(boxes[index]!.id) ? { ...area, height: HEADER } : area));
  const { width, height } = insides.get(OUTSIDE)!;
  return { width, height, places: areas, paths, labels: labels(joints, paths, texts) };
}

/** The boxes that hold the ends of a joint, seen from the innermost box that holds both. */
function lift({ source, target }: Joint, boxes: Map<number, Placeable>): { container: number; source: number; target: number } {
  // A box comes after the one that it lies in, so the later of two is never the outer one.
  const parent = (id: number) => boxes.get(id)!.parent ?? OUTSIDE;
  while (parent(source) !== parent(target)) {
    if (parent(source) > parent(target)) source = parent(source);
    else target = parent(target);
  }
  return { container: parent(source), source, target };
}

function arrange(container: number, items: Item[], edges: Pair[], cache: Cache): Inside {
  const key = JSON.stringify([items, edges]);
  const cached = cache.get(container);
  if (cached?.key === key) return cached.inside;
  const inside = items.length <= MOST_FOR_DAGRE && !isChain(edges) ? byDagre(items, edges) : byRows(items, edges);
  cache.set(container, { key, inside });
  return inside;
}

/** Whether nothing branches: then rows of one box each are what any layout gives. */
function isChain(edges: Pair[]): boolean {
  const ends = (which: 0 | 1) => new Set(edges.map((edge) => edge[which])).size;
  return ends(0) === edges.length && ends(1) === edges.length && edges.every(([source, target]) => source < target);
}

function byDagre(items: Item[], edges: Pair[]): Inside {
  const graph = new Graph();
  graph.setGraph({ rankdir: "TB", nodesep: GAP, edgesep: GAP, ranksep: RANK_GAP });
  for (const { id, width, height } of items) graph.setNode(String(id), { width, height });
  for (const [source, target] of edges) graph.setEdge(String(source), String(target), {});
  dagre(graph);
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  const corners = new Map(
    items.map((item): [number, Point] => {
      const { x, y } = graph.node(String(item.id)) as { x: number; y: number };
      return [item.id, [x - item.width / 2, y - item.height / 2]];
    }),
  );
  const bends = new Map(
    edges.map(([source, target]) => {
      const { points } = graph.edge(String(source), String(target)) as { points: { x: number; y: number }[] };
      return [`${source} ${target}`, points.slice(1, -1).map(({ x, y }): Point => [x, y])];
    }),
  );
  return { width, height, corners, bends };
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

/** In the middle of a joint, near its end or near its start, where nothing else is. */
function labels(joints: Joint[], paths: Point[][], texts: Rectangle[]): (Point | null)[] {
  const taken = new Map<number, Rectangle[]>();
  const bands = ({ y, height }: Rectangle) => {
    const first = Math.floor(y / BAND);
    return Array.from({ length: Math.floor((y + height) / BAND) - first + 1 }, (_, index) => first + index);
  };
  const take = (area: Rectangle) => {
    for (const band of bands(area)) taken.set(band, [...(taken.get(band) ?? []), area]);
  };
  const isFree = (area: Rectangle) => bands(area).every((band) => !taken.get(band)?.some((other) => overlap(area, other)));
  texts.forEach(take);
  return joints.map(({ label }, index) => {
    const path = paths[index]!;
    const around = ([x, y]: Point) => ({ x: x - label / 2, y: y - LABEL_HEIGHT / 2, width: label, height: LABEL_HEIGHT });
    const found = candidates(path).find((point) => isFree(around(point)));
    if (found === undefined) return null;
    take(around(found));
    return found;
  });
}

function candidates(path: Point[]): Point[] {
  const [[x0, y0], [x1, y1]] = [path[0]!, path.at(-1)!];
  const middle = path.slice(path.length / 2 - 1, path.length / 2 + 1) as [Point, Point];
  return [
    [(middle[0][0] + middle[1][0]) / 2, (middle[0][1] + middle[1][1]) / 2],
    [x1, y1 - CLOSE],
    [x0, y0 + CLOSE],
  ];
}

export function overlap(a: Rectangle, b: Rectangle): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}
