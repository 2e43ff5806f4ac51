// A sentence about one layer of the comparison of two steps; a click on its name chooses the layer.
import type { LayerChange } from "../compare";
import { h, setText } from "../dom";
import { formatNumber, layerLabel } from "../format";
import type { MetricInfo } from "../generated/messages";
import type { State } from "../store";
import type { Host } from "./view";

type Scale = MetricInfo["scale"];

export function verdict(host: Host, testid: string) {
  const before = h("span", {});
  const button = h("button", { type: "button", title: "Show this layer" });
  const after = h("span", {});
  let layer = -1;
  button.addEventListener("click", () => host.select({ layer }));
  return {
    element: h("p", { "data-testid": testid }, before, " ", button, " ", after),
    show(state: State, found: LayerChange | null, scale: Scale, sentence: string, otherwise: string) {
      layer = found?.layer ?? -1;
      button.hidden = found === null;
      setText(before, found === null ? otherwise : sentence);
      setText(button, found === null ? "" : layerLabel(state.layers[layer]!));
      setText(after, found === null ? "" : changeText(found, scale));
    },
  };
}

function changeText({ a, b, change }: LayerChange, scale: Scale): string {
  const size = scale === "log" ? `× ${formatNumber(10 ** change, 3)}` : `${change > 0 ? "+" : ""}${formatNumber(change, 3)}`;
  return `${formatNumber(a, 3)} → ${formatNumber(b, 3)}${Number.isFinite(change) ? ` (${size})` : ""}`;
}
