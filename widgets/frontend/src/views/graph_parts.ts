// How boxes and links of a graph look.
import { svg } from "../dom";
import { formatBytes, shorten } from "../format";
import type { TensorLayout } from "../generated/messages";
import { type Point, type Rectangle } from "../graph_layout";
import type { Box } from "../graph_tree";
import type { Link } from "../graph_visible";

const NAME_LENGTH = 28;
const LINE = 15;
const ARROW = 4;

export function layoutText({ dtype, shape }: TensorLayout): string {
  return `${dtype} [${shape.join(", ")}]`;
}

export function linkText({ count, bytes, layout }: Link): string {
  const what = layout === null ? `${count} tensors` : `${count > 1 ? `${count} × ` : ""}${layoutText(layout)}`;
  return `${what} · ${formatBytes(bytes)}`;
}

/** The lines of a box: its name, its class, which of several calls it is. */
export function boxTexts({ node, name, calls }: Box): [string, string] {
  const call = calls > 1 && node.kind !== "module" ? `call ${node.call + 1} of ${calls}` : "";
  if (node.kind === "function") return [name, call];
  const second = node.kind === "input" || node.kind === "output" ? node.layout && layoutText(node.layout) : node.type;
  return [shorten(name, NAME_LENGTH), [second && shorten(second, NAME_LENGTH), call].filter(Boolean).join(" · ")];
}

/** Width of texts as the browser draws them. */
export function measure(root: HTMLElement): (text: string, size: number) => number {
  const context = document.createElement("canvas").getContext("2d")!;
  const family = getComputedStyle(root).fontFamily;
  const known = new Map<string, number>();
  return (text, size) => {
    const key = `${size} ${text}`;
    if (!known.has(key)) {
      context.font = `${size === 12 ? "600 " : ""}${size}px ${family}`;
      known.set(key, Math.ceil(context.measureText(text).width));
    }
    return known.get(key)!;
  };
}

export function drawBox(box: Box, { width, height }: Rectangle, open: boolean): SVGGElement {
  const [first, second] = boxTexts(box);
  const inner = box.children.length > 0;
  const round = box.node.kind === "input" || box.node.kind === "output" || box.node.kind === "function" ? 12 : 6;
  const middle = inner ? 26 : width / 2;
  const anchor = inner ? "start" : "middle";
  const group = svg(
    "g",
    {
      class: "ds-box",
      role: "button",
      tabindex: -1,
      "data-testid": "graph-box",
      "data-box": box.id,
      "data-kind": box.node.kind,
      "data-open": String(open),
      "data-site": box.node.site,
      "data-call": box.node.call,
      "aria-expanded": inner ? String(open) : null,
    },
    svg("rect", { class: "ds-box-shape", width, height, rx: round }),
    svg("text", { class: "ds-box-name", x: middle, y: 17, "text-anchor": anchor }, first),
    open
      ? svg("text", { class: "ds-box-type", x: width - 10, y: 17, "text-anchor": "end" }, second)
      : svg("text", { class: "ds-box-type", x: middle, y: 17 + LINE, "text-anchor": anchor }, second),
    svg("circle", { class: "ds-box-mark", cx: width, cy: 0, r: 6 }),
  );
  if (inner) {
    const sign = open ? "M8 13h10" : "M8 13h10M13 8v10";
    const toggle = svg("g", { class: "ds-box-toggle", "data-testid": "graph-toggle" });
    toggle.append(svg("rect", { x: 4, y: 4, width: 18, height: 18, rx: 4 }), svg("path", { d: sign }));
    group.append(toggle);
  }
  return group;
}

export function drawLink(key: string, link: Link, path: Point[], label: Point | null, ends: [string, string]): SVGGElement {
  const thickness = 1 + Math.min(3, Math.log10(1 + link.bytes / 1000) / 2);
  const group = svg(
    "g",
    {
      class: "ds-link",
      "data-testid": "graph-link",
      "data-link": key,
      "data-tied": String(link.tied),
      "data-source": ends[0],
      "data-target": ends[1],
      "data-count": link.count,
      "data-bytes": link.bytes,
    },
    svg("path", { class: "ds-link-area", d: curve(path) }),
    svg("path", { class: "ds-link-line", d: curve(path), "stroke-width": thickness }),
    svg("path", { class: "ds-link-arrow", d: arrow(path.at(-1)!) }),
  );
  if (label !== null) {
    group.append(svg("text", { class: "ds-link-label", x: label[0], y: label[1] + 4, "text-anchor": "middle" }, linkText(link)));
  }
  return group;
}

function curve([first, ...rest]: Point[]): string {
  let [x0, y0] = first!;
  let text = `M${x0} ${y0}`;
  for (const [x, y] of rest) {
    const middle = (y0 + y) / 2;
    text += `C${x0} ${middle} ${x} ${middle} ${x} ${y}`;
    [x0, y0] = [x, y];
  }
  return text;
}

function arrow([x, y]: Point): string {
  return `M${x - ARROW} ${y - 1.6 * ARROW}L${x} ${y}L${x + ARROW} ${y - 1.6 * ARROW}Z`;
}

export function areaOf(path: Point[]): Rectangle {
  const [xs, ys] = [path.map(([x]) => x), path.map(([, y]) => y)];
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return { x, y, width: Math.max(...xs) - x + 1, height: Math.max(...ys) - y + 1 };
}
