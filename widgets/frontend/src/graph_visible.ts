// What is seen of a graph when some of its boxes are expanded.
import type { TensorLayout } from "./generated/messages";
import type { ModuleGraph } from "./graph";
import type { Tree } from "./graph_tree";

/** The tensors that go from one box to another. */
export interface Link {
  source: number;
  target: number;
  count: number;
  /** Of all together. */
  bytes: number;
  /** Null where they differ. */
  layout: TensorLayout | null;
  /** Whether they are parameters of the source, used in the target as well. */
  tied: boolean;
}

export interface Visible {
  /** In the order of the tree. */
  boxes: number[];
  links: Link[];
}

/** Edges of what lies in a collapsed box end at it; those inside it, and those of a box with its own inside, are not seen. */
export function toVisible({ nodes, edges }: ModuleGraph, { boxes, boxOf }: Tree, expanded: ReadonlySet<number>): Visible {
  /** By box: the one that is seen in its place. */
  const shown = new Int32Array(boxes.length);
  const visible: number[] = [];
  for (const { id, parent } of boxes) {
    const seen = parent === null || (shown[parent] === parent && expanded.has(parent));
    shown[id] = seen ? id : shown[parent]!;
    if (seen) visible.push(id);
  }
  const contains = (outer: number, box: number) => {
    let inner: number | null = box;
    while (inner !== null && inner > outer) inner = boxes[inner]!.parent;
    return inner === outer;
  };
  const links = new Map<string, Link>();
  for (const { source: from, target: to, layout } of edges) {
    const source = shown[boxOf.get(from) ?? -1];
    const target = shown[boxOf.get(to) ?? -1];
    if (source === undefined || target === undefined) continue;
    const tied = nodes[from]!.kind === "module";
    const key = `${source} ${target} ${tied}`;
    const link = links.get(key);
    if (link !== undefined) {
      link.count += 1;
      link.bytes += layout.bytes;
      if (link.layout !== layout) link.layout = null;
    } else if (!contains(source, target) && !contains(target, source)) {
      links.set(key, { source, target, count: 1, bytes: layout.bytes, layout, tied });
    }
  }
  return { boxes: visible, links: [...links.values()] };
}
