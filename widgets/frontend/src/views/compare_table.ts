// The table twin of the charts that compare two steps.
import type { LayerChange } from "../compare";
import { h, setText } from "../dom";
import { formatNumber, layerLabel } from "../format";
import type { MetricInfo } from "../generated/messages";
import type { State } from "../store";
import type { Host } from "./view";

const NUMBERS = 3;

export function compareTable(host: Host) {
  const body = h("tbody", {});
  const change = h("th", { scope: "col", class: "ds-number" });
  const number = (text: string) => h("th", { scope: "col", class: "ds-number" }, text);
  const heads = h("tr", {}, h("th", { scope: "col" }, "layer"), number("A"), number("B"), change);
  const scroll = h("div", { class: "ds-scroll", tabindex: 0, role: "region", "aria-label": "both steps, by layer" }, h("table", {}, h("thead", {}, heads), body));
  const element = h("details", { "data-testid": "compare-table" }, h("summary", {}, "As a table"), scroll);
  let cells: HTMLTableCellElement[][] = [];
  let names = "";
  element.addEventListener("toggle", () => host.select({}));

  function build(labels: string[], layers: LayerChange[]): void {
    names = labels.join("\n");
    cells = labels.map(() => Array.from({ length: NUMBERS }, () => h("td", { class: "ds-number" })));
    body.replaceChildren(
      ...layers.map(({ layer }, row) => {
        const open = h("button", { type: "button", title: labels[row]! }, labels[row]!);
        open.addEventListener("click", () => host.select({ layer }));
        return h("tr", { "data-testid": "compare-row", "data-layer": layer }, h("td", {}, open), ...cells[row]!);
      }),
    );
  }

  return {
    element,
    show(state: State, scale: MetricInfo["scale"], layers: LayerChange[], chosen: number | null) {
      if (!element.open) return;
      const labels = layers.map(({ layer }) => layerLabel(state.layers[layer]!));
      if (labels.join("\n") !== names) build(labels, layers);
      setText(change, scale === "log" ? "B / A" : "B − A");
      layers.forEach((each, row) => {
        const last = scale === "log" ? 10 ** each.change : each.change;
        [each.a, each.b, last].forEach((value, index) => setText(cells[row]![index]!, formatNumber(value)));
        body.rows[row]!.classList.toggle("ds-chosen", each.layer === chosen);
      });
    },
  };
}
