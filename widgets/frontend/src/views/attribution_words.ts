// The words of a text in their order, coloured by what each did, with its number below.
import { h } from "../dom";
import { featureLabel, isText, rowOf } from "../explanation";
import { type AttributionPart, told } from "./attribution_bars";

/** Share of the colour behind the word that did most: its text stays readable. */
const DEEPEST = 40;

export function attributionWords(): AttributionPart {
  const element = h("p", { class: "ds-words", "data-testid": "explain-words" });
  return {
    element,
    show(input, row, place) {
      element.hidden = !isText(input, row);
      if (element.hidden) return;
      const values = rowOf(input.values, place).subarray(0, input.info.shown[row]!.length);
      const errors = input.errors && rowOf(input.errors, place);
      const most = Math.max(0, ...Array.from(values, (value) => Math.abs(value) || 0));
      const words = Array.from(values, (value, index) => {
        const number = told({ value, error: errors?.[index] ?? 0 });
        return wordOf(featureLabel(input, row, index), number, value, most);
      });
      element.replaceChildren(...words.flatMap((word) => [word, " "]));
    },
  };
}

function wordOf(text: string, number: string, value: number, most: number): HTMLElement {
  const element = h("span", {}, text, h("small", {}, number));
  const share = most > 0 ? Math.round((DEEPEST * Math.abs(value)) / most) || 0 : 0;
  element.style.background = `color-mix(in srgb, var(${value < 0 ? "--ds-negative" : "--ds-positive"}) ${share}%, var(--ds-card))`;
  return element;
}
