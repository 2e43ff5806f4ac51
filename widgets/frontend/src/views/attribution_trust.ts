// How far an attribution can be trusted: always in view.
import { h, setText } from "../dom";
import { type Attribution, rowOf } from "../explanation";
import { formatInteger, formatNumber, formatShare } from "../format";

/** From this share of the effect on, what the values do not account for is worth an alarm. */
const LARGE_GAP = 0.05;

/** Half a 95 % interval, in standard errors. */
export const INTERVAL = 1.96;

export function trustView(explanation: Attribution): { element: HTMLElement; show(row: number, output: number): void } {
  const { message, base, reached, gap, inputs } = explanation;
  const [value, expected, missing, error] = ["Output", "Expected", "Not accounted for", "95 % intervals"].map(tile);
  const cost = tile("Cost");
  setText(cost.value, `${formatInteger(message.evaluations)} evaluations`);
  setText(cost.more, `${formatNumber(message.seconds, 2)} s`);
  const tiles = h("dl", { class: "ds-tiles" }, ...[value!, expected!, missing!, error!, cost].map(({ element }) => element));
  const notes = h("ul", { class: "ds-notes", "data-testid": "explain-notes" }, ...message.notes.map((note) => h("li", {}, note)));
  notes.hidden = message.notes.length === 0;
  const element = h("section", { class: "ds-card ds-trust", "data-testid": "explain-trust" }, tiles, notes);
  return {
    element,
    show(row, output) {
      const place = row * base.columns + output;
      const effect = Math.abs(reached.values[place]! - base.values[place]!);
      const share = effect > 0 ? Math.abs(gap.values[place]!) / effect : NaN;
      setText(value!.value, formatNumber(reached.values[place]!));
      setText(expected!.value, formatNumber(base.values[place]!));
      setText(missing!.value, formatNumber(gap.values[place]!, 3));
      setText(missing!.more, Number.isNaN(share) ? "" : `${formatShare(share)} of the effect`);
      missing!.element.classList.toggle("ds-alarm", share > LARGE_GAP);
      const widest = Math.max(...inputs.map(({ errors }) => widestOf(errors, place)));
      setText(error!.value, widest < 0 ? "exact" : `± ${formatNumber(INTERVAL * widest, 3)}`);
      setText(error!.more, widest < 0 ? "" : "at most");
    },
  };
}

function widestOf(errors: Attribution["base"] | null, place: number): number {
  if (errors === null) return -1;
  return Array.from(rowOf(errors, place)).reduce((most, error) => Math.max(most, error), 0);
}

function tile(name: string): { element: HTMLElement; value: HTMLElement; more: HTMLElement } {
  const value = h("span");
  const more = h("small");
  return { element: h("div", { class: "ds-tile" }, h("dt", {}, name), h("dd", {}, value, more)), value, more };
}
