// One logged scalar over steps.
import { named } from "../bokeh";
import { chartIn } from "../charts";
import { h } from "../dom";
import { rowsBySteps, tableTwin } from "./table";
import type { Host, View } from "./view";

export function lossView(host: Host, parent: HTMLElement): View {
  const choice = h("select", { "aria-label": "logged value", "data-testid": "scalar-select" });
  const title = h("h3", {}, "Loss");
  const plot = h("div", { class: "ds-plot", role: "img", "aria-label": "The logged value over steps", "data-testid": "loss" });
  const empty = h("p", { class: "ds-empty" }, "Nothing logged yet. Log values with session.log(loss=loss).");
  const head = h("div", { class: "ds-section-head" }, title, choice);
  const twin = tableTwin(host, "The logged value by step", "loss-table");
  const element = h("section", { class: "ds-card ds-loss" }, head, plot, empty, twin.element);
  parent.append(element);
  const redraw = chartIn(host, "loss", plot);
  let names = "";
  choice.addEventListener("change", () => host.select({}));

  return {
    update(state) {
      const scalars = [...state.scalars.keys()];
      if (scalars.join("\n") !== names) {
        names = scalars.join("\n");
        const before = choice.value || (scalars.includes("loss") ? "loss" : scalars[0]);
        choice.replaceChildren(...scalars.map((name) => h("option", { value: name, selected: name === before }, name)));
      }
      choice.hidden = scalars.length < 2;
      plot.hidden = scalars.length === 0;
      empty.hidden = scalars.length > 0;
      twin.element.hidden = scalars.length === 0;
      title.textContent = choice.value === "loss" || choice.value === "" ? "Loss" : choice.value;
      const points = state.scalars.get(choice.value);
      if (points === undefined) return;
      const row = (index: number) => points.values.slice(index * points.columns, (index + 1) * points.columns);
      redraw((chart) => (named(chart, "loss")["data"] = { step: row(0), mean: row(1), low: row(2), high: row(3) }));
      plot.dataset["points"] = String(points.columns);
      const heads = ["step", "mean", "lowest", "highest"];
      twin.show(() => ({ heads, rows: rowsBySteps(row(0), [row(1), row(2), row(3)]) }));
    },
  };
}
