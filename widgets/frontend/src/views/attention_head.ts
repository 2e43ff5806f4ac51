// One head: each weight as a cell, read by pointer or keys; a cell's line chooses the token that looks.
import { h, setText } from "../dom";
import { type Attention, tokenText, weightOf } from "../explanation";
import { formatNumber } from "../format";
import { type AttentionPart, bytesOf, type Chosen } from "./attention_chosen";
import { strongest } from "./attribution_bars";
import { gridKeys } from "./grid_keys";
import { paint, scaleColours } from "./pixels";
import { tableTwin } from "./table";

export function attentionHead(explanation: Attention, root: HTMLElement, select: (change: Partial<Chosen>) => void): AttentionPart {
  const title = h("h3", { "data-testid": "explain-head-title" });
  const canvas = h("canvas", { tabindex: 0, role: "slider", "aria-label": "weight", "aria-valuemin": 0, "data-testid": "explain-head" });
  const told = h("p", { class: "ds-note", "aria-live": "polite", "data-testid": "explain-weight" });
  const ramp = h("span", { class: "ds-ramp", "aria-hidden": "true" });
  const legend = h("p", { class: "ds-scale" }, "0", ramp, `${formatNumber(explanation.message.most, 2)} (square-root scale)`);
  const twin = tableTwin({ select: () => select({}) }, `Weights of a head of ${explanation.message.model}`, "explain-table");
  const element = h("section", { class: "ds-card ds-one-head" }, title, canvas, legend, told, twin.element);
  let shown: Chosen | null = null;

  const weightText = (chosen: Chosen, index: number) => {
    const { info, weights } = explanation.maps[chosen.map]!;
    const [query, key] = [Math.floor(index / weights.columns), index % weights.columns];
    const looking = tokenText(explanation, info.looking, chosen.row, info.queries[query]!);
    return `${looking} looks at ${tokenText(explanation, info.seen, chosen.row, key)}`;
  };
  const keys = gridKeys(
    canvas,
    (index) => {
      if (shown === null) return "";
      const text = `${weightText(shown, index)}: ${formatNumber(weightOf(explanation, bytesOf(explanation, shown)[index]!), 2)}`;
      setText(told, text);
      return text;
    },
    (index) => shown !== null && select({ query: Math.floor(index / explanation.maps[shown.map]!.weights.columns) }),
  );
  return {
    element,
    show(chosen) {
      shown = chosen;
      const { info, weights } = explanation.maps[chosen.map]!;
      const bytes = bytesOf(explanation, chosen);
      const colours = scaleColours(root);
      setText(title, `Head ${info.heads[chosen.head]} of ${info.name} (${info.kind})`);
      paint(canvas, info.queries.length, weights.columns, (index) => colours[bytes[index]!]!);
      keys.resize(info.queries.length, weights.columns);
      twin.show(() => ({
        heads: ["token and what it looks at", "weight"],
        rows: strongest(bytes).map((index) => [weightText(chosen, index), weightOf(explanation, bytes[index]!)]),
      }));
    },
  };
}
