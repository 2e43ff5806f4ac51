// The tensor-flow table: what every site put out when it was observed last.
import { h, setText } from "../dom";
import { formatBytes, formatInteger, formatNumber, formatShare } from "../format";
import type { State } from "../store";
import type { Host, View } from "./view";

const COLUMNS = ["site", "type", "shape", "dtype", "size", "mean", "std", "min", "max", "absmax", "zero", "non-finite"];
const ZERO = 5;
const NONFINITE = 6;
const TEXT_COLUMNS = 4;

export function flowView(host: Host, parent: HTMLElement): View {
  const body = h("tbody", {});
  const note = h("span", { class: "ds-note" });
  const heads = COLUMNS.map((name, i) => h("th", { scope: "col", class: i < TEXT_COLUMNS ? null : "ds-number" }, name));
  const table = h("table", {}, h("thead", {}, h("tr", {}, ...heads)), body);
  const scroll = h("div", { class: "ds-scroll", tabindex: 0, role: "region", "aria-label": "tensor flow" }, table);
  const head = h("div", { class: "ds-section-head" }, h("h3", {}, "Tensor flow"), note);
  const element = h("section", { class: "ds-card ds-flow" }, head, scroll);
  let cells: HTMLTableCellElement[][] = [];
  let names = "";

  function build(state: State): void {
    names = state.flow.map(({ site }) => site).join("\n");
    cells = state.flow.map(({ type }) => COLUMNS.map((_, i) => h("td", { class: i < TEXT_COLUMNS ? null : "ds-number" }, i === 1 ? type : "")));
    body.replaceChildren(
      ...state.flow.map(({ site, layer }, index) => {
        const open = h("button", { type: "button", title: site }, site);
        open.addEventListener("click", () => host.select({ layer }));
        cells[index]![0]!.append(open);
        return h("tr", { "data-testid": "flow-row", "data-layer": layer }, ...cells[index]!);
      }),
    );
  }
  parent.append(element);

  return {
    update(state, { layer }) {
      if (state.flow.map(({ site }) => site).join("\n") !== names) build(state);
      let bytes = 0;
      state.flow.forEach((site, index) => {
        const layout = state.layouts[state.flowLayouts[index] ?? -1];
        bytes += layout?.bytes ?? 0;
        const { columns, values } = state.flowValues;
        const numbers = [...values.subarray(index * columns, (index + 1) * columns)];
        const texts = [
          layout === undefined ? "" : layout.shape.join(" × "),
          layout?.dtype ?? "",
          layout === undefined ? "" : formatBytes(layout.bytes),
          ...numbers.slice(0, ZERO).map((value) => formatNumber(value, 3)),
          formatShare(numbers[ZERO] ?? NaN),
          formatInteger(numbers[NONFINITE] ?? 0),
        ];
        texts.forEach((text, i) => setText(cells[index]![i + 2]!, text));
        const row = body.rows[index]!;
        row.classList.toggle("ds-chosen", site.layer === layer);
        row.classList.toggle("ds-alarm", (numbers[NONFINITE] ?? 0) > 0);
      });
      setText(note, `${formatInteger(state.flow.length)} sites, ${formatBytes(bytes)} in one forward pass`);
    },
  };
}
