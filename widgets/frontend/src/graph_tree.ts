// The module graph as boxes inside boxes: what can be collapsed and expanded.
import type { ModuleGraph, Node } from "./graph";

export interface Box {
  /** Position among the boxes; a box comes after the one that it lies in. */
  id: number;
  /** What it stands for: a module only where nothing was called, as in a plain tree, a list of modules, a tied weight. */
  node: Node;
  /** Without the name of the module that it lies in. */
  name: string;
  parent: number | null;
  children: number[];
  /** How often its site was called in the forward. */
  calls: number;
}

export interface Tree {
  boxes: Box[];
  /** By node of the graph: the box where its edges end. */
  boxOf: Map<number, number>;
}

/** Boxes that are shown to begin with, about. */
const MOST_AT_FIRST = 30;

/**
 * A call lies in the call that called it, within the containers (such as lists of modules) that are not called
 * themselves; so a module that is used three times is three boxes. What goes in and out lies in the call of the whole
 * model. A graph without calls gives the tree of modules.
 */
export function toTree(graph: ModuleGraph): Tree {
  const { nodes, edges } = graph;
  const boxes: Box[] = [];
  const boxOf = new Map<number, number>();
  const containers = new Map<string, number>();
  const calls = new Map<string, number>();
  const site = ({ kind, parent, site }: Node) => `${kind} ${parent} ${site}`;
  for (const node of nodes) calls.set(site(node), (calls.get(site(node)) ?? 0) + 1);

  function add(node: Node, parent: number | null): number {
    const id = boxes.length;
    const inside = parent === null ? null : boxes[parent]!;
    boxes.push({ id, node, name: nameIn(node, inside, nodes), parent, children: [], calls: calls.get(site(node))! });
    inside?.children.push(id);
    return id;
  }

  /** The innermost of the containers between a caller and the module that it calls. */
  function container(caller: number, module: number): number {
    const path: number[] = [];
    const outer = nodes[caller]!.parent;
    let inner = nodes[module]!.parent;
    while (inner !== null && inner !== outer) {
      path.push(inner);
      inner = nodes[inner]!.parent;
    }
    let box = boxOf.get(caller)!;
    if (inner === null) return box;
    for (const each of path.reverse()) {
      const key = `${caller} ${each}`;
      if (!containers.has(key)) containers.set(key, add(nodes[each]!, box));
      box = containers.get(key)!;
    }
    return box;
  }

  /** Where a node lies, if it is not a module. */
  function place({ kind, parent, caller }: Node): number | null {
    if (kind === "input" || kind === "output") return whole === undefined ? null : boxOf.get(whole.id)!;
    if (caller === null || !boxOf.has(caller)) return null;
    return kind === "call" ? container(caller, parent!) : boxOf.get(caller)!;
  }

  const firstCall = new Map<number, number>();
  const isCalled = nodes.some(({ kind }) => kind === "call");
  // The call of the whole model holds what goes into it, which comes before it in the graph.
  const whole = nodes.find(({ kind, parent }) => kind === "call" && nodes[parent!]!.parent === null);
  const rest = nodes.filter((node) => node !== whole && (node.kind !== "module" || !isCalled));
  for (const node of whole === undefined ? rest : [whole, ...rest]) {
    const { id, kind, parent } = node;
    const outer = kind !== "module" ? place(node) : parent === null ? null : boxOf.get(parent)!;
    boxOf.set(id, add(node, outer));
    if (kind === "call" && !firstCall.has(parent!)) firstCall.set(parent!, boxOf.get(id)!);
  }
  // An edge that begins at a module carries a parameter of it: from its first call, or from a box of its own.
  for (const { source } of edges) {
    if (nodes[source]!.kind !== "module" || boxOf.has(source)) continue;
    let owner = nodes[source]!.parent;
    while (owner !== null && !firstCall.has(owner)) owner = nodes[owner]!.parent;
    const own = () => add(nodes[source]!, owner === null ? null : firstCall.get(owner)!);
    boxOf.set(source, firstCall.get(source) ?? own());
  }
  return { boxes, boxOf };
}

function nameIn(node: Node, box: Box | null, nodes: readonly Node[]): string {
  if (node.kind === "function") return node.type;
  if (box === null || node.kind === "input" || node.kind === "output") return node.site;
  const outer = box.node.kind === "call" ? nodes[box.node.parent!]! : box.node;
  return outer.parent !== null && node.site.startsWith(`${outer.site}.`) ? node.site.slice(outer.site.length + 1) : node.site;
}

/** The outermost boxes, and then level by level all or none of what lies in the same box, as long as it is not too much. */
export function expandedAtFirst({ boxes }: Tree): Set<number> {
  const expanded = new Set<number>();
  const inner = (box: Box) => box.children.map((id) => boxes[id]!);
  let count = boxes.filter(({ parent }) => parent === null).length;
  const waiting = [boxes.filter(({ parent }) => parent === null)];
  for (let siblings = waiting.shift(); siblings !== undefined; siblings = waiting.shift()) {
    const more = siblings.reduce((sum, { children }) => sum + children.length, 0);
    if (more === 0 || (siblings[0]!.parent !== null && count + more > MOST_AT_FIRST)) continue;
    count += more;
    for (const box of siblings) {
      if (box.children.length === 0) continue;
      expanded.add(box.id);
      waiting.push(inner(box));
    }
  }
  return expanded;
}

/** Those that a box lies in, from the inside out. */
export function ancestors({ boxes }: Tree, id: number): number[] {
  const found: number[] = [];
  for (let parent = boxes[id]!.parent; parent !== null; parent = boxes[parent]!.parent) found.push(parent);
  return found;
}

/** A box with all that lies in it. */
export function within({ boxes }: Tree, id: number): number[] {
  const found = [id];
  for (const each of found) found.push(...boxes[each]!.children);
  return found;
}
