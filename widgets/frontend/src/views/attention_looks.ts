// What one token looks at: the other tokens, or the patches of the picture, coloured by their weights.
import { h, setText } from "../dom";
import { type Attention, rowOf, tokenText, weightOf } from "../explanation";
import { formatNumber } from "../format";
import type { Patches } from "../generated/explanations";
import { type AttentionPart, type Chosen, lookOf } from "./attention_chosen";
import { overPatches, overTokens } from "./attention_over";
import { gridKeys } from "./grid_keys";
import { paint } from "./pixels";

export function attentionLooks(explanation: Attention, root: HTMLElement): AttentionPart {
  const title = h("h3");
  const tokens = h("p", { class: "ds-tokens", "data-testid": "explain-tokens" });
  const canvas = h("canvas", { tabindex: 0, role: "slider", "aria-label": "patch", "aria-valuemin": 0, "data-testid": "explain-patches" });
  const told = h("p", { class: "ds-note", "aria-live": "polite" });
  const plain = h("canvas", { role: "img", "aria-label": "The picture, in gray" });
  const picture = h("div", { class: "ds-explained" }, h("figure", {}, plain), h("figure", {}, canvas, told));
  const hint = h("p", { class: "ds-note" }, "A click into the head above, or its arrow keys, choose the token that looks.");
  const element = h("section", { class: "ds-card" }, title, tokens, picture, hint);
  let shown: Chosen | null = null;

  const keys = gridKeys(canvas, (patch) => {
    if (shown === null) return "";
    const looks = lookOf(explanation, shown);
    const { patches } = explanation.maps[shown.map]!.info;
    const first = looks.length - (patches?.rows ?? 0) * (patches?.columns ?? 0);
    const text = `patch ${patch}: ${formatNumber(weightOf(explanation, looks[first + patch] ?? 0), 2)}`;
    setText(told, text);
    return text;
  });

  function showPatches(row: number, looks: Uint8Array, patches: Patches): void {
    const gray = rowOf(explanation.pictures!, row);
    const first = looks.length - patches.rows * patches.columns;
    const most = Math.max(1, ...looks.subarray(first));
    paint(plain, explanation.message.height, explanation.message.width, (pixel) => Array<number>(3).fill(gray[pixel]!));
    overPatches(canvas, root, explanation, row, patches, (patch) => looks[first + patch]! / most);
    keys.resize(patches.rows, patches.columns);
  }
  return {
    element,
    show(chosen) {
      shown = chosen;
      const { info } = explanation.maps[chosen.map]!;
      const looks = lookOf(explanation, chosen);
      const asPicture = info.patches !== null && explanation.pictures !== null;
      setText(title, `What ${tokenText(explanation, info.looking, chosen.row, info.queries[chosen.query]!)} looks at`);
      tokens.hidden = asPicture;
      picture.hidden = !asPicture;
      if (asPicture) return showPatches(chosen.row, looks, info.patches!);
      const weights = Array.from(looks, (byte) => weightOf(explanation, byte));
      const texts = weights.map((_, key) => tokenText(explanation, info.seen, chosen.row, key));
      overTokens(tokens, texts, weights, Math.max(...weights));
    },
  };
}
