// Where the boxes and links of a graph lie: each expanded box is laid out for itself, the inner ones first.
import { arrange, type Cache, ENTRY, EXIT, type Inside, isPort, type Pair } from "./graph_arrange";
import { placeLabels } from "./graph_labels";

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

/** The part of a joint within a box. */
interface Leg {
  container: number;
  pair: Pair;
}

export const HEADER = 26;
const PADDING = 12;
const OUTSIDE = -1;

/** Only boxes whose inside is not the one in the cache are laid out. */
export function place({ boxes, joints }: Request, cache: Cache): Layout {
  const known = new Map(boxes.map((box) => [box.id, box]));
  const inside = new Map<number, Placeable[]>([[OUTSIDE, []]]);
  for (const box of boxes) {
    const parent = box.parent ?? OUTSIDE;
    if (!inside.has(parent)) inside.set(parent, []);
    inside.get(parent)!.push(box);
  }
  const routes = joints.map((joint) => route(joint, known));
  const edges = new Map<number, Map<string, Pair>>();
  const longest = new Map<number, number>();
  routes.forEach((legs, index) => {
    for (const { container, pair } of legs) {
      if (!edges.has(container)) edges.set(container, new Map());
      edges.get(container)!.set(pair.join(" "), pair);
      if (!isPort(pair[0]) && !isPort(pair[1])) longest.set(container, Math.max(longest.get(container) ?? 0, joints[index]!.label));
    }
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
  const paths = joints.map(({ source, target }, index) => {
    const bends = routes[index]!.flatMap(({ container, pair }) => {
      const [left, top] = corner(container);
      return (insides.get(container)!.bends.get(pair.join(" ")) ?? []).map(([x, y]): Point => [left + x, top + y]);
    });
    const [from, to] = [rectangle(source), rectangle(target)];
    const start: Point = [from.x + from.width / 2, from.y + from.height];
    return [start, ...bends, [to.x + to.width / 2, to.y] as Point];
  });
  const areas = boxes.map(({ id }) => rectangle(id));
  // Texts stand in all of a collapsed box, and at the upper edge of one that is expanded.
  const texts = areas.map((area, index) => (inside.has(boxes[index]!.id) ? { ...area, height: HEADER } : area));
  const { width, height } = insides.get(OUTSIDE)!;
  return { width, height, places: areas, paths, labels: placeLabels(joints, paths, texts) };
}

/** Out of the boxes around its source, past others in the innermost box that holds both ends, into those around its target. */
function route({ source, target }: Joint, boxes: Map<number, Placeable>): Leg[] {
  // A box comes after the one that it lies in, so the later of two is never the outer one.
  const parent = (id: number) => boxes.get(id)!.parent ?? OUTSIDE;
  const [out, into]: [Leg[], Leg[]] = [[], []];
  while (parent(source) !== parent(target)) {
    if (parent(source) > parent(target)) {
      out.push({ container: parent(source), pair: [source, EXIT] });
      source = parent(source);
    } else {
      into.unshift({ container: parent(target), pair: [ENTRY, target] });
      target = parent(target);
    }
  }
  return [...out, { container: parent(source), pair: [source, target] }, ...into];
}

export function overlap(a: Rectangle, b: Rectangle): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}
