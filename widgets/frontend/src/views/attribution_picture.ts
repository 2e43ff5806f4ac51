// The attributions of a picture's pixels, over the picture.
import { h, setText } from "../dom";
import { featureLabel, featureOf, pixelName, rowOf, type InputValues } from "../explanation";
import { formatNumber } from "../format";
import type { AttributionPart } from "./attribution_bars";
import { INTERVAL } from "./attribution_trust";
import { colourOf, paint } from "./pixels";
import { gridKeys } from "./grid_keys";

/** How much of the picture is seen below attributions of 0: more would be mistaken for attributions. */
const PALE = 0.3;

export function attributionPicture(root: HTMLElement): AttributionPart {
  const plain = h("canvas", { role: "img", "aria-label": "The picture, in gray", "data-testid": "explain-picture" });
  const heat = h("canvas", { tabindex: 0, role: "slider", "aria-label": "pixel", "aria-valuemin": 0, "data-testid": "explain-heat" });
  const told = h("p", { class: "ds-note", "aria-live": "polite", "data-testid": "explain-pixel" });
  const [low, high] = [h("span"), h("span")];
  const legend = h("p", { class: "ds-scale" }, low, h("span", { class: "ds-diverging", "aria-hidden": "true" }), high);
  const pair = h("div", { class: "ds-explained" }, h("figure", {}, plain), h("figure", {}, heat, legend, told));
  const element = h("div", { hidden: true }, pair);
  let shown: { input: InputValues; place: number; row: number } | null = null;

  const keys = gridKeys(heat, (index) => {
    if (shown === null) return "";
    const text = describe(shown.input, shown.row, shown.place, index);
    setText(told, text);
    return text;
  });
  return {
    element,
    show(input, row, place) {
      const { height, width } = input.info;
      element.hidden = height === 0;
      if (element.hidden) return;
      shown = { input, row, place };
      const gray = grays(rowOf(input.data, row));
      const values = rowOf(input.values, place);
      const value = (pixel: number) => values[featureOf(input, row, pixel)] ?? 0;
      const most = Array.from(values).reduce((found, each) => Math.max(found, Math.abs(each) || 0), 0);
      const [raised, lowered, zero] = ["--ds-positive", "--ds-negative", "--ds-zero"].map((name) => colourOf(root, name));
      paint(plain, height, width, (index) => Array<number>(3).fill(gray[index]!));
      paint(heat, height, width, (index) => {
        const share = most > 0 ? Math.min(1, Math.abs(value(index)) / most) : 0;
        const target = value(index) < 0 ? lowered! : raised!;
        return target.map((end, channel) => {
          const pale = zero![channel]! + (gray[index]! - zero![channel]!) * PALE;
          return pale + (end - pale) * share;
        });
      });
      setText(low, formatNumber(-most, 3));
      setText(high, formatNumber(most, 3));
      keys.resize(height, width);
    },
  };
}

/** Numbers as grays from 0 to 255. */
function grays(values: ArrayLike<number>): number[] {
  const numbers = Array.from(values);
  const low = numbers.reduce((found, each) => Math.min(found, each), Infinity);
  const high = numbers.reduce((found, each) => Math.max(found, each), -Infinity);
  return numbers.map((each) => (high > low ? (255 * (each - low)) / (high - low) : 128));
}

function describe(input: InputValues, row: number, place: number, pixel: number): string {
  const { info, values, errors, data, cells } = input;
  const feature = featureOf(input, row, pixel);
  const where = pixelName(info.width, pixel);
  const seen = `input ${formatNumber(data.values[row * data.columns + pixel]!, 3)}`;
  if (feature < 0) return `${where}: ${seen}, always present`;
  const at = place * values.columns + feature;
  const error = errors === null ? "" : ` ± ${formatNumber(INTERVAL * errors.values[at]!, 2)}`;
  const group = cells === null ? "" : ` of ${featureLabel(input, row, feature)}`;
  return `${where}: attribution${group} ${formatNumber(values.values[at]!, 3)}${error}, ${seen}`;
}
