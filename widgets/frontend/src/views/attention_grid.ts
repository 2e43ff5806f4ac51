// All heads as small pictures: lines are attention calls, columns heads.
import { h } from "../dom";
import type { Attention } from "../explanation";
import { shorten } from "../format";
import { type AttentionPart, bytesOf, type Chosen } from "./attention_chosen";
import { paint, scaleColours } from "./pixels";

const NAME_LENGTH = 36;

export function attentionGrid(explanation: Attention, root: HTMLElement, select: (change: Partial<Chosen>) => void): AttentionPart {
  const { maps } = explanation;
  const heads = Math.max(...maps.map(({ info }) => info.heads.length));
  const buttons = maps.map(({ info }, map) =>
    info.heads.map((number, head) => {
      const canvas = h("canvas", { "aria-hidden": "true" });
      const label = `Head ${number} of ${info.name} (${info.kind})`;
      const button = h("button", { type: "button", title: label, "aria-label": label, "data-testid": `explain-head-${map}-${head}` }, canvas);
      button.addEventListener("click", () => select({ map, head }));
      button.addEventListener("keydown", (event) => move(event, map, head));
      return { button, canvas };
    }),
  );
  const lines = maps.map(({ info }, map) =>
    h(
      "tr",
      {},
      h("th", { scope: "row", title: info.name }, `${shorten(info.name, NAME_LENGTH)} (${info.kind})`),
      ...buttons[map]!.map(({ button }) => h("td", {}, button)),
    ),
  );
  const columns = Array.from({ length: heads }, (_, head) => h("th", { scope: "col" }, String(maps[0]!.info.heads[head] ?? head)));
  const table = h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "head"), ...columns)), h("tbody", {}, ...lines));
  const scroll = h("div", { class: "ds-heads", role: "region", "aria-label": `All heads of ${explanation.message.model}`, tabindex: 0 }, table);
  const hint = "Within a picture, lines are tokens that look and columns those that are looked at: the brighter, the more.";
  const element = h("section", { class: "ds-card", "data-testid": "explain-heads" }, h("h3", {}, "All heads"), scroll, h("p", { class: "ds-note" }, hint));
  let drawn = "";

  function move(event: KeyboardEvent, map: number, head: number): void {
    const [down, right] = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key] ?? [];
    if (down === undefined || right === undefined) return;
    event.preventDefault();
    const next = buttons[map + down]?.[Math.min(head + right, (buttons[map + down]?.length ?? 0) - (right > 0 ? 0 : 1))];
    next?.button.focus();
    next?.button.click();
  }
  return {
    element,
    show(chosen) {
      const colours = scaleColours(root);
      const look = `${chosen.row} ${colours[0]}`;
      buttons.forEach((line, map) =>
        line.forEach(({ button, canvas }, head) => {
          const own = map === chosen.map && head === chosen.head;
          button.setAttribute("aria-pressed", String(own));
          button.tabIndex = own ? 0 : -1;
          if (look === drawn) return;
          const { info, weights } = maps[map]!;
          const bytes = bytesOf(explanation, { ...chosen, map, head });
          paint(canvas, info.queries.length, weights.columns, (index) => colours[bytes[index]!]!);
        }),
      );
      drawn = look;
    },
  };
}
