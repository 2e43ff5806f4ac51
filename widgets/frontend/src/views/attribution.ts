// What moved an output: bars or a picture, and always beside them how far that can be trusted.
import { h, setText } from "../dom";
import { placeOf, type Attribution } from "../explanation";
import type { ExplanationView } from "../explanation_mount";
import { attributionBars } from "./attribution_bars";
import { attributionPicture } from "./attribution_picture";
import { attributionTable } from "./attribution_table";
import { attributionWords } from "./attribution_words";
import { trustView } from "./attribution_trust";
import { choice } from "./choice";

export function attributionView(explanation: Attribution, root: HTMLElement, parent: HTMLElement): ExplanationView {
  const { message, inputs } = explanation;
  const rows = Array.from({ length: message.rows }, (_, row) => `row ${message.first + row}`);
  const row = choice("Row", rows, "explain-row", draw);
  const output = choice("Output", message.outputs, "explain-output", draw);
  const input = choice("Input", inputs.map(({ info }) => info.name), "explain-input", draw);
  const title = h("h2", { class: "ds-title" }, `What moved ${message.outputs.length > 1 ? "each output" : message.target}`);
  const how = h("span", { class: "ds-note" }, `by ${message.method}, against ${message.background}`);
  const name = h("div", { class: "ds-name" }, title, how);
  const head = h("div", { class: "ds-header" }, name, h("div", { class: "ds-choices" }, row.element, output.element, input.element));
  const trust = trustView(explanation);
  const verdict = h("p", { "aria-live": "polite", "data-testid": "explain-verdict" });
  const words = attributionWords();
  const bars = attributionBars();
  const picture = attributionPicture(root);
  const table = attributionTable(`Attributions of ${message.target} by ${message.method}`, draw);
  const beside = h("div", { class: "ds-beside" }, words.element, bars.element);
  const card = h("section", { class: "ds-card" }, verdict, beside, picture.element, table.element);
  parent.append(head, trust.element, card);

  function draw(): void {
    const shown = inputs[input.index]!;
    const place = placeOf(explanation, row.index, output.index);
    trust.show(row.index, output.index);
    setText(verdict, verdictOf(explanation, row.index, output.index));
    words.show(shown, row.index, place);
    bars.show(shown, row.index, place);
    picture.show(shown, row.index, place);
    table.show(shown, row.index, place);
    card.dataset["row"] = String(row.index);
    card.dataset["output"] = String(output.index);
  }
  return { draw };
}

/** Which way the output went, in a sentence. */
function verdictOf({ message, base, reached }: Attribution, row: number, output: number): string {
  const place = row * base.columns + output;
  const moved = reached.values[place]! - base.values[place]!;
  if (Number.isNaN(moved)) return "This row was not reached before the computation was interrupted.";
  const way = moved === 0 ? "is as expected over" : moved > 0 ? "is above what is expected over" : "is below what is expected over";
  return `Row ${message.first + row}: ${message.outputs[output]} ${way} the background. Orange raised it, blue lowered it.`;
}
