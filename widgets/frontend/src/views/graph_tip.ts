// What is told about a box or a link of the graph when one points at it or goes to it by keyboard.
import { h } from "../dom";
import type { Reading } from "../graph_reading";
import type { Box } from "../graph_tree";
import type { Link } from "../graph_visible";
import { layoutText, linkText } from "./graph_parts";

/** Links that are told of a box, each way. */
const MOST_LINKS = 5;
const GAP = 8;
const TIP_WIDTH = 380;
const TIP_HEIGHT = 120;

export function nameOf({ node, calls }: Box): string {
  return calls > 1 && node.kind !== "module" ? `${node.site}, call ${node.call + 1} of ${calls}` : node.site;
}

/** Everything about a box in one sentence; `value` says what its colour means. */
export function boxLabel(box: Box, value: string, hasFinding: boolean): string {
  const { type, layout } = box.node;
  return [nameOf(box), type, layout && layoutText(layout), value, hasFinding && "has a finding"].filter(Boolean).join(", ");
}

export function boxTip(box: Box, reading: Reading, boxes: readonly Box[], links: readonly Link[]): Node[] {
  const name = (id: number) => nameOf(boxes[id]!);
  const told = (sign: string, some: Link[], other: "source" | "target") => [
    ...some.slice(0, MOST_LINKS).map((link) => h("span", {}, `${sign} ${name(link[other])}: ${linkText(link)}`)),
    ...(some.length > MOST_LINKS ? [h("span", {}, `${sign} ${some.length - MOST_LINKS} more`)] : []),
  ];
  const { type, layout } = box.node;
  const second = [type, layout && layoutText(layout)].filter(Boolean).join(" · ");
  return [
    h("b", {}, nameOf(box)),
    ...[second, reading.valueText(box), reading.hasFinding(box) && "has a finding"].filter(Boolean).map((line) => h("span", {}, String(line))),
    ...told("←", links.filter(({ target }) => target === box.id), "source"),
    ...told("→", links.filter(({ source }) => source === box.id), "target"),
  ];
}

export function linkTip(link: Link, boxes: readonly Box[]): Node[] {
  const ends = `${nameOf(boxes[link.source]!)} → ${nameOf(boxes[link.target]!)}`;
  return [h("b", {}, ends), h("span", {}, linkText(link)), ...(link.tied ? [h("span", {}, "a parameter that both use")] : [])];
}

/** Below what it is about, or above where there is no room. */
export function placeTip(tip: HTMLElement, target: Element, frame: HTMLElement): void {
  const [at, room] = [target.getBoundingClientRect(), frame.getBoundingClientRect()];
  const below = at.bottom - room.top + GAP;
  const isAbove = below > room.height - TIP_HEIGHT;
  const side = Math.min(TIP_WIDTH, room.width) / 2;
  tip.style.left = `${Math.min(room.width - side, Math.max(side, at.left + at.width / 2 - room.left))}px`;
  tip.style.top = `${isAbove ? Math.min(room.height, at.top - room.top) - GAP : below}px`;
  tip.style.transform = `translate(-50%, ${isAbove ? "-100%" : "0"})`;
}
