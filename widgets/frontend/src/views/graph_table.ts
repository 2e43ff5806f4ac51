// The boxes that are seen, as a table.
import { h, setText } from "../dom";
import { formatBytes, formatNumber } from "../format";
import type { Reading } from "../graph_reading";
import type { Box } from "../graph_tree";

const COLUMNS = ["name", "class", "kind", "call", "output shape", "dtype", "bytes"];
const FIRST_NUMBER = 6;

export interface GraphTable {
  element: HTMLDetailsElement;
  /** Costs nothing while it is closed. */
  show(boxes: readonly Box[], reading: Reading): void;
}

/** `opened` is called when it has to be shown. */
export function graphTable(opened: () => void): GraphTable {
  const metricHead = h("th", { scope: "col", class: "ds-number" });
  const heads = COLUMNS.map((name, i) => h("th", { scope: "col", class: i < FIRST_NUMBER ? null : "ds-number" }, name));
  const body = h("tbody");
  const table = h("table", {}, h("thead", {}, h("tr", {}, ...heads, metricHead)), body);
  const scroll = h("div", { class: "ds-scroll", tabindex: 0, role: "region", "aria-label": "boxes of the graph" }, table);
  const element = h("details", { "data-testid": "graph-table" }, h("summary", {}, "What is shown, as a table"), scroll);
  element.addEventListener("toggle", opened);
  let shown: readonly Box[] = [];
  let numbers: HTMLElement[] = [];

  return {
    element,
    show(boxes, reading) {
      if (!element.open) return;
      setText(metricHead, reading.metric.title);
      if (boxes !== shown) {
        shown = boxes;
        numbers = boxes.map(() => h("td", { class: "ds-number" }));
        body.replaceChildren(...boxes.map((box, index) => row(box, numbers[index]!)));
      }
      boxes.forEach((box, index) => setText(numbers[index]!, formatNumber(reading.value(box) ?? NaN)));
    },
  };
}

function row({ node, calls }: Box, number: HTMLElement): HTMLElement {
  const { layout } = node;
  const call = node.kind === "module" ? "" : `${node.call + 1} of ${calls}`;
  const texts = [node.site, node.type, node.kind, call, layout ? `[${layout.shape.join(", ")}]` : "", layout?.dtype ?? ""];
  const cells = texts.map((text) => h("td", {}, text));
  return h("tr", { "data-testid": "graph-row" }, ...cells, h("td", { class: "ds-number" }, layout ? formatBytes(layout.bytes) : ""), number);
}
