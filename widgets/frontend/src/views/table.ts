// The numbers of a chart as a table, for whoever cannot or would rather not read the chart.
import { h, setText } from "../dom";
import { formatInteger, formatNumber } from "../format";
import type { Host } from "./view";

export interface Numbers {
  /** The first one is above the names of the rows. */
  heads: string[];
  rows: [name: string, ...values: (number | string)[]][];
}

/** A table of so many rows can be read; of the others it is said how many there are. */
const MOST_ROWS = 200;

const NUMBER = "ds-number";

export function tableTwin(host: Pick<Host, "select">, label: string, testid: string) {
  const heads = h("tr");
  const body = h("tbody");
  const more = h("p", { class: "ds-hint", hidden: true });
  const table = h("table", {}, h("thead", {}, heads), body);
  const scroll = h("div", { class: "ds-scroll", tabindex: 0, role: "region", "aria-label": label }, table);
  const element = h("details", { class: "ds-twin", "data-testid": testid }, h("summary", {}, "As a table"), scroll, more);
  element.addEventListener("toggle", () => host.select({}));

  return {
    element,
    /** Shows the first rows; the numbers are asked for while the table is open only. */
    show(numbers: () => Numbers): void {
      if (!element.open) return;
      const { heads: names, rows } = numbers();
      heads.replaceChildren(...names.map((name, index) => h("th", { scope: "col", class: typeof rows[0]?.[index] === "number" ? NUMBER : null }, name)));
      body.replaceChildren(
        ...rows.slice(0, MOST_ROWS).map(([name, ...values]) =>
          h("tr", {}, h("th", { scope: "row" }, name), ...values.map(cell)),
        ),
      );
      more.hidden = rows.length <= MOST_ROWS;
      setText(more, `The first ${MOST_ROWS} of ${formatInteger(rows.length)} rows.`);
    },
  };
}

/** Rows of values by step, the newest step first. */
export function rowsBySteps(steps: ArrayLike<number>, columns: ArrayLike<number>[]): Numbers["rows"] {
  const newest = steps.length - 1;
  return Array.from({ length: steps.length }, (_, index) => [
    formatInteger(steps[newest - index]!),
    ...columns.map((values) => values[newest - index] ?? NaN),
  ]);
}

function cell(value: number | string): HTMLElement {
  return typeof value === "number" ? h("td", { class: NUMBER }, formatNumber(value)) : h("td", {}, value);
}
