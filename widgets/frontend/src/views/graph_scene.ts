// What is drawn of a graph: the boxes and links that are seen, with their places.
import type { ModuleGraph } from "../graph";
import { HEADER, type Layout, type Point } from "../graph_layout";
import type { Layouter } from "../graph_layouter";
import type { Box, Tree } from "../graph_tree";
import { type Link, toVisible } from "../graph_visible";
import { areaOf, boxTexts, drawBox, drawLink, linkText } from "./graph_parts";
import type { Part } from "./graph_stage";

const HEIGHT = 40;
const SMALL_HEIGHT = 24;
const NAME_SIZE = 12;
const TEXT_SIZE = 11;

export interface Scene {
  boxes: Box[];
  links: Link[];
  layout: Layout;
  /** By box its place among those that are seen. */
  index: Map<number, number>;
}

type Width = (text: string, size: number) => number;

/** Resolves when all has its place. */
export async function makeScene(
  graph: ModuleGraph,
  tree: Tree,
  expanded: ReadonlySet<number>,
  layouter: Layouter,
  width: Width,
): Promise<Scene> {
  const visible = toVisible(graph, tree, expanded);
  const boxes = visible.boxes.map((id) => tree.boxes[id]!);
  const layout = await layouter.layout({
    boxes: boxes.map((box) => ({ id: box.id, parent: box.parent, ...sizeOf(box, expanded.has(box.id), width) })),
    joints: visible.links.map((link) => ({ source: link.source, target: link.target, label: width(linkText(link), TEXT_SIZE) + 8 })),
  });
  return { boxes, links: visible.links, layout, index: new Map(visible.boxes.map((id, place) => [id, place])) };
}

function sizeOf(box: Box, open: boolean, width: Width): { width: number; height: number } {
  const [first, second] = boxTexts(box);
  const [name, type] = [width(first, NAME_SIZE), width(second, TEXT_SIZE)];
  const room = box.children.length > 0 ? 40 : 20;
  if (open) return { width: name + type + room + 16, height: HEADER };
  return { width: Math.max(56, name + room, type + room), height: second === "" ? SMALL_HEIGHT : HEIGHT };
}

/** From the back to the front: expanded boxes, links, and what is not expanded. */
export function partsOf({ boxes, links, layout }: Scene, tree: Tree, expanded: ReadonlySet<number>): Part[] {
  const part = (box: Box, index: number): Part => {
    const area = layout.places[index]!;
    const open = expanded.has(box.id);
    const { site, kind } = box.node;
    const look = JSON.stringify([site, kind, boxTexts(box), box.children.length > 0, open, area.width, area.height]);
    return { key: boxKey(box.id), area, look, draw: () => drawBox(box, area, open) };
  };
  const all = boxes.map(part);
  const site = (id: number) => tree.boxes[id]!.node.site;
  const lines = links.map((link, index): Part => {
    const area = areaOf(layout.paths[index]!);
    const inside = ([x, y]: Point): Point => [x - area.x, y - area.y];
    const [path, at] = [layout.paths[index]!.map(inside), layout.labels[index]!];
    const label = at && inside(at);
    const ends: [string, string] = [site(link.source), site(link.target)];
    const key = linkKey(link);
    const look = JSON.stringify([ends, path, label, linkText(link)]);
    return { key, area, look, draw: () => drawLink(key, link, path, label, ends) };
  });
  const isOpen = (_: Part, index: number) => expanded.has(boxes[index]!.id);
  return [...all.filter(isOpen), ...lines, ...all.filter((each, index) => !isOpen(each, index))];
}

export function boxKey(id: number): string {
  return `box ${id}`;
}

export function linkKey({ source, target, tied }: Link): string {
  return `link ${source} ${target} ${tied}`;
}
