// What is told about a box or a link of the graph when one points at it or goes to it by keyboard.
import { h } from "../dom";
import type { Box } from "../graph_tree";
import type { Link } from "../graph_visible";
import { boxTexts, layoutText, linkText } from "./graph_parts";

/** Links that are told of a box, each way. */
const MOST_LINKS = 5;

export function nameOf({ node, calls }: Box): string {
  return calls > 1 && node.kind !== "module" ? `${node.site}, call ${node.call + 1} of ${calls}` : node.site;
}

/** Everything about a box in one sentence; `value` says what its colour means. */
export function boxLabel(box: Box, value: string, hasFinding: boolean): string {
  const { type, layout } = box.node;
  return [nameOf(box), type, layout && layoutText(layout), value, hasFinding && "has a finding"].filter(Boolean).join(", ");
}

export function boxTip(box: Box, value: string, hasFinding: boolean, boxes: readonly Box[], links: readonly Link[]): Node[] {
  const name = (id: number) => nameOf(boxes[id]!);
  const told = (sign: string, some: Link[], other: "source" | "target") => [
    ...some.slice(0, MOST_LINKS).map((link) => h("span", {}, `${sign} ${name(link[other])}: ${linkText(link)}`)),
    ...(some.length > MOST_LINKS ? [h("span", {}, `${sign} ${some.length - MOST_LINKS} more`)] : []),
  ];
  const { type, layout } = box.node;
  const second = [type, layout && layoutText(layout)].filter(Boolean).join(" · ");
  return [
    h("b", {}, nameOf(box) || boxTexts(box)[0]),
    ...[second, value, hasFinding && "has a finding"].filter(Boolean).map((line) => h("span", {}, String(line))),
    ...told("←", links.filter(({ target }) => target === box.id), "source"),
    ...told("→", links.filter(({ source }) => source === box.id), "target"),
  ];
}

export function linkTip(link: Link, boxes: readonly Box[]): Node[] {
  const ends = `${nameOf(boxes[link.source]!)} → ${nameOf(boxes[link.target]!)}`;
  return [h("b", {}, ends), h("span", {}, linkText(link)), ...(link.tied ? [h("span", {}, "a parameter that both use")] : [])];
}
