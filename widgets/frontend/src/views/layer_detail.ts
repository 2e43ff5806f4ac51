// A closer look at the chosen layer: histograms, units, the weights as a picture, time and memory.
import type { Control } from "../control";
import type { LayerDetail } from "../detail";
import { h, setText } from "../dom";
import { formatBytes, formatInteger, formatNumber } from "../format";
import type { Command } from "../generated/requests";
import type { State } from "../store";
import { watchTheme } from "../theme";
import { histogramView, type HistogramView } from "./layer_histogram";
import { pictureView } from "./layer_picture";
import { unitsView } from "./layer_units";
import type { Host } from "./view";

const NOTHING_YET = "No closer look at this layer yet. Press Detail: the next step is looked at.";
const NOTHING_SAVED = "No closer look at this layer was asked for while it trained: session.ask_detail(name) does.";
const ENDED = "This run has ended: nothing can be asked of it.";

export interface DetailView {
  /** Stands in the heading of the layer. */
  buttons: HTMLElement;
  show(state: State, layer: string): void;
  remove(): void;
}

/** Adds itself to the parent. */
export function detailView(host: Host, parent: HTMLElement): DetailView {
  const { control, setup } = host;
  const ask = h("button", { type: "button", "data-testid": "layer-ask" }, "Detail");
  const watch = h("button", { type: "button", "aria-pressed": "false", "data-testid": "layer-watch" }, "Watch closely");
  const said = h("span", { class: "ds-note", role: "status", "data-testid": "layer-said" });
  const buttons = h("span", { class: "ds-ask" }, ask, watch, said);
  const empty = h("p", { class: "ds-empty" });
  const note = h("p", { class: "ds-note", "data-testid": "detail-note" });
  const costs = costsTable();
  const plots = h("div", { class: "ds-histograms", "data-testid": "detail-histograms" });
  const units = unitsView(host.root);
  const picture = pictureView(host.root);
  const pictures = h("div", { class: "ds-pictures" }, units.element, picture.element);
  const body = h("div", { class: "ds-detail", "data-testid": "detail" }, note, costs.element, plots, pictures);
  parent.append(empty, body);

  const cells = new Map<string, HistogramView>();
  let site = "";
  let shown: LayerDetail | undefined;
  /** What is watched closely; undefined until it is known. */
  let watched: string | null | undefined;
  const reason = () => (typeof control === "string" ? control : setup.session === undefined ? ENDED : null);

  const send = async (command: Command, text: string) => {
    if (typeof control === "string" || setup.session === undefined) return;
    setText(said, await outcome(control, setup.session, command, text));
  };
  ask.addEventListener("click", () => void send({ verb: "ask_detail", site }, "Asked for: it comes with the next step."));
  watch.addEventListener("click", () => {
    const ends = watched === site;
    watched = ends ? null : site;
    showPressed();
    void send({ verb: "watch_closer", site: watched }, ends ? "" : "Looked at in every step from the next one on.");
  });
  const showPressed = () => watch.setAttribute("aria-pressed", String(watched === site));
  const draw = (detail: LayerDetail) => {
    units.show(detail.units);
    picture.show(detail.picture);
  };
  const stop = watchTheme(() => requestAnimationFrame(() => shown && draw(shown)));

  function showHistograms({ histograms }: LayerDetail): void {
    const keys = histograms.map(({ kind, tensor }) => `${kind} ${tensor}`);
    for (const [key, cell] of cells) {
      if (keys.includes(key)) continue;
      cell.element.remove();
      cells.delete(key);
    }
    histograms.forEach((histogram, index) => {
      let cell = cells.get(keys[index]!);
      if (cell === undefined) cells.set(keys[index]!, (cell = histogramView()));
      if (plots.children[index] !== cell.element) plots.insertBefore(cell.element, plots.children[index] ?? null);
      cell.show(histogram);
    });
  }

  return {
    buttons,
    show({ details, header }, layer) {
      const over = header.state === "closed" || header.state === "interrupted" ? ENDED : null;
      const why = reason() ?? over;
      for (const button of [ask, watch]) {
        button.disabled = why !== null;
        button.title = why ?? "";
      }
      const name = layer.split(":")[0]!;
      if (name !== site) setText(said, "");
      site = name;
      const detail = details.get(name);
      if (watched === undefined && detail?.watched && over === null) watched = name;
      showPressed();
      empty.hidden = detail !== undefined;
      setText(empty, why === null ? NOTHING_YET : NOTHING_SAVED);
      body.hidden = detail === undefined;
      if (detail === undefined || detail === shown) return;
      shown = detail;
      body.dataset["step"] = String(detail.step);
      setText(note, [`Step ${formatInteger(detail.step)}.`, detail.note].join(" ").trim());
      if (detail.histograms.length > 0 && said.textContent?.startsWith("Asked")) setText(said, "");
      costs.show(detail);
      showHistograms(detail);
      draw(detail);
    },
    remove: stop,
  };
}

/** What to say of a command. */
async function outcome(control: Control, session: string, command: Command, text: string): Promise<string> {
  try {
    await control.command(session, command);
    return text;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function costsTable() {
  const row = h("tr");
  const titles = ["calls in the step", "forward", "backward", "output", "parameters", "gradients"];
  const head = h("tr", {}, ...titles.map((title) => h("th", { scope: "col", class: "ds-number" }, title)));
  const table = h("table", { "aria-label": "Time and memory of the layer" }, h("thead", {}, head), h("tbody", {}, row));
  const element = h("div", { class: "ds-scroll ds-costs", "data-testid": "detail-costs" }, table);
  const time = (ms: number | null) => (ms === null ? "–" : `${formatNumber(ms, 3)} ms`);
  return {
    element,
    show(detail: LayerDetail) {
      const bytes = [detail.output_bytes, detail.parameter_bytes, detail.gradient_bytes].map(formatBytes);
      const texts = [formatInteger(detail.calls), time(detail.forward_ms), time(detail.backward_ms), ...bytes];
      row.replaceChildren(...texts.map((text) => h("td", { class: "ds-number" }, text)));
    },
  };
}
