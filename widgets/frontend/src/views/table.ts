// The numbers of a chart as a table, for whoever cannot or would rather not read the chart.
import { h, setText } from "../dom";
import { formatInteger, formatNumber } from "../format";
import type { Host } from "./view";

export interface Numbers {
  /** The first one is above the names of the rows. */
  heads: string[];
  rows: [name: string, ...values: number[]][];
}

/** A table of so many rows can be read; of the others it is said how many there are. */
const MOST_ROWS = 200;

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
      heads.replaceChildren(...names.map((name, index) => h("th", { scope: "col", class: numeric(index) }, name)));
      body.replaceChildren(
        ...rows.slice(0, MOST_ROWS).map(([name, ...values]) =>
          h("tr", {}, h("th", { scope: "row" }, name), ...values.map((value) => h("td", { class: numeric(1) }, formatNumber(value)))),
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

function numeric(index: number): string | null {
  return index > 0 ? "ds-number" : null;
}
