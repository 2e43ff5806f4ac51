// What one token looks at: the other tokens, or the patches of the picture, coloured by their weights.
import { h, setText } from "../dom";
import { type Attention, rowOf, tokenText, weightOf } from "../explanation";
import { formatNumber } from "../format";
import { type AttentionPart, type Chosen, lookOf } from "./attention_chosen";
import { gridKeys } from "./grid_keys";
import { paint, scaleColours } from "./pixels";

/** Share of the accent colour behind the token that is looked at most: its text stays readable. */
const DEEPEST = 50;

/** How much of a patch's colour covers the picture. */
const COVER = 0.6;

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

  const patchOf = ({ map }: Chosen, pixel: number) => {
    const { patches } = explanation.maps[map]!.info;
    const { height, width } = explanation.message;
    if (patches === null) return 0;
    const row = Math.floor((Math.floor(pixel / width) * patches.rows) / height);
    return row * patches.columns + Math.floor(((pixel % width) * patches.columns) / width);
  };
  const keys = gridKeys(canvas, (patch) => {
    if (shown === null) return "";
    const looks = lookOf(explanation, shown);
    const { patches } = explanation.maps[shown.map]!.info;
    const first = looks.length - (patches?.rows ?? 0) * (patches?.columns ?? 0);
    const text = `patch ${patch}: ${formatNumber(weightOf(explanation, looks[first + patch] ?? 0), 2)}`;
    setText(told, text);
    return text;
  });

  function showPatches(chosen: Chosen, looks: Uint8Array, rows: number, columns: number): void {
    const { height, width } = explanation.message;
    const gray = rowOf(explanation.pictures!, chosen.row);
    const first = looks.length - rows * columns;
    const most = Math.max(1, ...looks.subarray(first));
    const colours = scaleColours(root);
    paint(plain, height, width, (pixel) => Array<number>(3).fill(gray[pixel]!));
    paint(canvas, height, width, (pixel) => {
      const colour = colours[Math.round((255 * looks[first + patchOf(chosen, pixel)]!) / most)]!;
      return colour.map((part) => gray[pixel]! + (part - gray[pixel]!) * COVER);
    });
    keys.resize(rows, columns);
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
      if (asPicture) return showPatches(chosen, looks, info.patches!.rows, info.patches!.columns);
      const weights = Array.from(looks, (byte) => weightOf(explanation, byte));
      const most = Math.max(...weights);
      tokens.replaceChildren(...weights.map((weight, key) => token(tokenText(explanation, info.seen, chosen.row, key), weight, most)));
    },
  };
}

function token(text: string, weight: number, most: number): HTMLElement {
  const element = h("span", { title: formatNumber(weight, 2) }, text);
  const share = most > 0 ? Math.round((DEEPEST * weight) / most) : 0;
  element.style.background = `color-mix(in srgb, var(--ds-accent) ${share}%, var(--ds-card))`;
  return element;
}
