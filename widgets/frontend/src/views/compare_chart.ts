// A chart of the comparison of two steps: a row for every layer, which a click chooses.
import { named, type PointEvent } from "../bokeh";
import type { LayerChange } from "../compare";
import { h } from "../dom";
import { showRows } from "./rows";
import type { Host } from "./view";

/** Adds the chart of that name to its parent. */
export async function rowsChart(host: Host, name: string, parent: HTMLElement, label: string) {
  const plot = h("div", { class: "ds-plot", role: "img", "aria-label": label, "data-testid": name.replace("/", "-") });
  parent.append(plot);
  const chart = await host.chart(name, plot);
  const frame = named(chart, "chosen");
  let layers: LayerChange[] = [];
  let labels = "";
  chart.figure.on_event("tap", ({ y }: PointEvent) => {
    const row = layers[Math.floor(y)];
    if (row !== undefined) host.select({ layer: row.layer });
    // The chart takes no keys: its focus frame would only disturb.
    (document.activeElement as HTMLElement | null)?.blur();
  });
  return {
    chart,
    plot,
    axis: (chart.figure["below"] as Record<string, unknown>[])[0]!,
    show(shown: LayerChange[], names: string[], chosen: number) {
      layers = shown;
      if (names.join("\n") !== labels) showRows(chart, names);
      labels = names.join("\n");
      frame.setv({ top: chosen, bottom: chosen + 1, visible: chosen >= 0 });
    },
  };
}
