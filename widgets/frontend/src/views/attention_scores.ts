// Derived maps: how much each token is looked at through the layers, and always with it how faithful that is.
import { h } from "../dom";
import { type Attention, rowOf, type ScoredTokens, tokenText } from "../explanation";
import type { AttentionPart } from "./attention_chosen";
import { overPatches, overTokens } from "./attention_over";
import { strongest } from "./attribution_bars";
import { tableTwin } from "./table";

export function attentionScores(explanation: Attention, root: HTMLElement, scores: ScoredTokens, drawAgain: () => void): AttentionPart {
  const { method, verdict, tokens: sequence, patches } = scores.info;
  const tokens = h("p", { class: "ds-tokens" });
  const canvas = h("canvas", { role: "img", "aria-label": `The picture under its scores: ${verdict}` });
  const picture = h("div", { class: "ds-explained" }, h("figure", {}, canvas));
  const twin = tableTwin({ select: drawAgain }, `Scores by ${method}`, "explain-table");
  const element = h(
    "section",
    { class: "ds-card", "data-testid": "explain-scores" },
    h("h3", {}, `Where it looks, by ${method}`),
    h("p", { class: "ds-note" }, verdict),
    patches === null ? tokens : picture,
    twin.element,
  );
  return {
    element,
    show({ row }) {
      const values = rowOf(scores.values, row);
      const most = scores.largest.values[row]!;
      const first = patches === null ? 0 : values.length - patches.rows * patches.columns;
      const name = (place: number) => (patches !== null && place >= first ? `patch ${place - first}` : tokenText(explanation, sequence, row, place));
      const names = Array.from(values, (_, place) => name(place));
      if (patches === null) overTokens(tokens, names, values, most);
      else overPatches(canvas, root, explanation, row, patches, (patch) => (most > 0 ? values[first + patch]! / most : 0));
      twin.show(() => ({ heads: ["token", "score"], rows: strongest(values).map((place) => [names[place]!, values[place]!]) }));
    },
  };
}
