// Which layers compute in half precision: a map of layers over revisions, and the evidence of the chosen decision.
import { h, setText } from "../dom";
import { formatInteger, formatNumber, shorten } from "../format";
import type { Revision } from "../generated/messages";
import type { PrecisionMap } from "../precision";
import type { State } from "../store";
import { evidenceView, shareText } from "./precision_evidence";
import { tableTwin, type Numbers } from "./table";
import type { Host, View } from "./view";

const NAME_LENGTH = 40;
const SHORT: Record<string, string> = { float32: "f32", float16: "f16", bfloat16: "bf16" };

interface Place {
  layer: number;
  revision: number;
}

export function precisionView(host: Host, parent: HTMLElement): View {
  const note = h("span", { class: "ds-note", "data-testid": "precision-note" });
  const head = h("tr");
  const body = h("tbody");
  const foot = h("tfoot");
  const table = h("table", {}, h("thead", {}, head), body, foot);
  const label = "The precision of every layer after every revision";
  const scroll = h("div", { class: "ds-scroll ds-map", role: "region", "aria-label": label, tabindex: 0, "data-testid": "precision-map" }, table);
  const evidence = evidenceView();
  const twin = tableTwin(host, "The decisions of the chosen revision", "precision-table");
  const title = h("div", { class: "ds-section-head" }, h("h3", {}, "Precision"), legend(), note);
  parent.append(h("section", { class: "ds-card ds-precision" }, title, scroll, evidence.element, twin.element));

  let shown: PrecisionMap | null = null;
  let built = "";
  let buttons: (HTMLButtonElement | undefined)[][] = [];
  let skipped: HTMLElement[] = [];
  /** Null for the first layer of the newest revision. */
  let chosen: Place | null = null;

  function choose(place: Place, state: State): void {
    chosen = place;
    const name = shown?.layers[place.layer];
    const layer = state.layers.findIndex((each) => each.name === name);
    host.select(layer < 0 ? {} : { layer });
  }

  function move(event: KeyboardEvent, { layer, revision }: Place): void {
    const [down, right] = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key] ?? [];
    if (down === undefined || right === undefined) return;
    event.preventDefault();
    // Layers that a revision left out have no button there.
    for (let [row, column] = [layer + down, revision + right]; buttons[row] !== undefined && column >= 0 && column < buttons[row]!.length; row += down, column += right) {
      const next = buttons[row]![column];
      if (next === undefined) continue;
      next.focus();
      next.click();
      return;
    }
  }

  function build(map: PrecisionMap, current: () => State): void {
    const focused = buttons.flat().find((button) => button === document.activeElement)?.dataset["place"];
    head.replaceChildren(h("th", { scope: "col" }, "layer"), ...map.revisions.map(heading));
    buttons = map.decisions.map((row, layer) =>
      row.map((decision, revision) => {
        if (decision === undefined) return undefined;
        const name = `${map.layers[layer]}, step ${map.revisions[revision]!.step}: ${decision.dtype}${decision.harmful ? ", which does harm" : ""}`;
        const attributes = { type: "button", "aria-label": name, "data-dtype": decision.dtype, "data-harm": decision.harmful, "data-place": `${layer} ${revision}`, "data-testid": "decision" };
        const button = h("button", attributes, SHORT[decision.dtype] ?? decision.dtype);
        button.addEventListener("click", () => choose({ layer, revision }, current()));
        button.addEventListener("keydown", (event) => move(event, { layer, revision }));
        return button;
      }),
    );
    body.replaceChildren(
      ...map.layers.map((name, layer) =>
        h("tr", {}, h("th", { scope: "row", title: name }, shorten(name, NAME_LENGTH)), ...buttons[layer]!.map((button) => h("td", {}, ...(button ? [button] : [])))),
      ),
    );
    skipped = map.revisions.map(() => h("td"));
    foot.replaceChildren(
      h("tr", {}, h("th", { scope: "row" }, "loss scale"), ...map.revisions.map(({ loss_scale: scale }) => h("td", {}, scaleText(scale)))),
      h("tr", { "data-testid": "precision-skipped" }, h("th", { scope: "row" }, "skipped steps"), ...skipped),
    );
    buttons.flat().find((button) => focused !== undefined && button?.dataset["place"] === focused)?.focus();
  }

  let newest: State;
  return {
    update(state) {
      const map = state.precision;
      newest = state;
      if (map === null) return;
      shown = map;
      const key = JSON.stringify([map.earlier, map.layers, map.revisions.map(({ step }) => step)]);
      if (key !== built) {
        // What was chosen has another place now.
        if (built !== "" && JSON.parse(built)[0] !== map.earlier) chosen = null;
        build(map, () => newest);
        built = key;
      }
      map.revisions.forEach((revision, index) => setText(skipped[index]!, formatInteger(revision.skipped)));
      setText(note, noteText(map));
      const place = chosen ?? newestPlace(map);
      buttons.forEach((row, layer) =>
        row.forEach((button, revision) => {
          const own = layer === place.layer && revision === place.revision;
          button?.setAttribute("aria-pressed", String(own));
          button?.setAttribute("tabindex", own ? "0" : "-1");
        }),
      );
      const revision = map.revisions[place.revision]!;
      evidence.show(map.layers[place.layer]!, revision, map.decisions[place.layer]?.[place.revision]);
      twin.show(() => numbers(map, place.revision));
    },
  };
}

function newestPlace({ revisions, decisions }: PrecisionMap): Place {
  const revision = revisions.length - 1;
  return { layer: Math.max(0, decisions.findIndex((row) => row[revision] !== undefined)), revision };
}

function heading({ step, epoch, policy, half }: Revision): HTMLElement {
  const title = `${policy} decided on ${half}`;
  return h("th", { scope: "col", title }, `step ${formatInteger(step)}`, h("small", {}, `epoch ${formatInteger(epoch)}`));
}

function legend(): HTMLElement {
  const entries = Object.entries(SHORT).map(([dtype, short]) => h("span", {}, h("b", { "data-dtype": dtype }, short), ` ${dtype}`));
  return h("span", { class: "ds-dtypes" }, ...entries, h("span", {}, h("b", { "data-harm": "" }, "!"), " does harm"));
}

function noteText({ earlier, skippedBefore }: PrecisionMap): string {
  const parts = [
    earlier > 0 ? `${formatInteger(earlier)} earlier revisions are not shown.` : "",
    skippedBefore > 0 ? `${formatInteger(skippedBefore)} steps were skipped before the first one shown.` : "",
  ];
  return parts.join(" ").trim();
}

/** Loss scales are powers of two, which are read best as they are. */
export function scaleText(scale: number | null): string {
  if (scale === null) return "–";
  return Number.isInteger(scale) && scale < 1e9 ? formatInteger(scale) : formatNumber(scale);
}

function numbers({ layers, decisions }: PrecisionMap, revision: number): Numbers {
  return {
    heads: ["layer", "gradient norm", "become zero", "lose precision", "become infinite", "noise", "computes in", "why"],
    rows: layers.flatMap((layer, row) => {
      const found = decisions[row]![revision];
      if (found === undefined) return [];
      const shares = [found.underflow.share, found.subnormal.share, found.overflow.share, found.noise.share].map(shareText);
      return [[layer, found.gradientNorm, ...shares, found.dtype, found.reason] as Numbers["rows"][number]];
    }),
  };
}
