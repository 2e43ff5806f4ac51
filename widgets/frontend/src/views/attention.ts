// Where the tokens look: all heads as a grid, one of them in detail, and what one of its tokens looks at.
import { h } from "../dom";
import type { Attention } from "../explanation";
import type { ExplanationView } from "../explanation_mount";
import { formatNumber } from "../format";
import type { Chosen } from "./attention_chosen";
import { attentionGrid } from "./attention_grid";
import { attentionHead } from "./attention_head";
import { attentionLooks } from "./attention_looks";
import { attentionScores } from "./attention_scores";
import { choice } from "./choice";

export function attentionView(explanation: Attention, root: HTMLElement, parent: HTMLElement): ExplanationView {
  const { message, maps } = explanation;
  const rows = Array.from({ length: message.rows }, (_, row) => `row ${message.first + row}`);
  const row = choice("Row", rows, "explain-row", () => select({ row: row.index }));
  const chosen: Chosen = { row: 0, map: maps.length - 1, head: 0, query: 0 };
  const select = (change: Partial<Chosen>) => {
    Object.assign(chosen, change);
    const { info } = maps[chosen.map]!;
    chosen.head = Math.min(chosen.head, info.heads.length - 1);
    chosen.query = Math.min(chosen.query, info.queries.length - 1);
    draw();
  };
  const title = h("h2", { class: "ds-title" }, `Where ${message.model} looks`);
  const exactness = message.deviation > 0 ? `to ${formatNumber(message.deviation, 2)} of its largest number` : "exactly";
  const how = `which is not why it decides. Weights × values is what each call returned, ${exactness}.`;
  const name = h("div", { class: "ds-name" }, title, h("span", { class: "ds-note" }, how));
  const notes = h("ul", { class: "ds-notes ds-card", "data-testid": "explain-notes" }, ...message.notes.map((note) => h("li", {}, note)));
  notes.hidden = message.notes.length === 0;
  parent.append(h("div", { class: "ds-header" }, name, h("div", { class: "ds-choices" }, row.element)), notes);
  const parts = [
    attentionGrid(explanation, root, select),
    attentionHead(explanation, root, select),
    attentionLooks(explanation, root),
    ...explanation.scores.map((each) => attentionScores(explanation, root, each, draw)),
  ];
  parent.append(...parts.map(({ element }) => element));

  function draw(): void {
    for (const part of parts) part.show(chosen);
  }
  return { draw };
}
