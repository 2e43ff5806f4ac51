// The units of a layer, each a cell coloured by how often it was active.
import type { Units } from "../detail";
import { h, setText } from "../dom";
import { formatInteger, formatShare } from "../format";
import { colourOf, paint } from "./pixels";

export interface UnitsView {
  element: HTMLElement;
  show(units: Units | null): void;
}

const TITLES = { activation: "Units: share of samples in which each was active", gradient: "Units that a gradient reached" } as const;

/** Cells in a row at least, and dead units that are named. */
const FEWEST_COLUMNS = 8;
const MOST_NAMED = 200;

export function unitsView(root: HTMLElement): UnitsView {
  const title = h("h4", {});
  const summary = h("p", { class: "ds-note", "data-testid": "units-summary" });
  const canvas = h("canvas", { tabindex: 0, role: "slider", "aria-label": "unit", "aria-valuemin": 0, "data-testid": "units" });
  const told = h("p", { class: "ds-note", "aria-live": "polite", "data-testid": "unit-told" });
  const names = h("p", {});
  const dead = h("details", {}, h("summary", {}, "Dead units"), names);
  const swatch = (kind: string, text: string) => h("span", {}, h("span", { class: `ds-swatch ${kind}`, "aria-hidden": "true" }), text);
  const legend = h("p", { class: "ds-scale" }, swatch("ds-swatch-dead", "never"), swatch("ds-swatch-rare", "seldom"), swatch("ds-swatch-live", "always"));
  const element = h("div", { class: "ds-units", hidden: true }, title, summary, canvas, legend, told, dead);
  let units: Units | null = null;
  let columns = 1;
  let chosen = 0;

  function tell(index: number): void {
    if (units === null) return;
    chosen = Math.min(Math.max(index, 0), units.active.length - 1);
    const text = describe(units, chosen);
    canvas.setAttribute("aria-valuenow", String(chosen));
    canvas.setAttribute("aria-valuetext", text);
    setText(told, text);
  }
  canvas.addEventListener("pointermove", ({ offsetX, offsetY }) => {
    const size = canvas.clientWidth / columns;
    tell(Math.floor(offsetY / size) * columns + Math.floor(offsetX / size));
  });
  canvas.addEventListener("focus", () => tell(chosen));
  canvas.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -Infinity, End: Infinity }[event.key];
    if (move === undefined) return;
    event.preventDefault();
    tell(chosen + move);
  });

  return {
    element,
    show(next) {
      units = next;
      element.hidden = units === null || units.active.length === 0;
      if (units === null || units.active.length === 0) return;
      const { active, of, samples } = units;
      columns = Math.max(FEWEST_COLUMNS, Math.ceil(Math.sqrt(active.length * 2)));
      const [none, full, alarm] = ["--ds-accent-soft", "--ds-accent", "--ds-error"].map((name) => colourOf(root, name));
      paint(canvas, Math.ceil(active.length / columns), columns, (index) => {
        const count = active[index];
        if (count === undefined) return null;
        return count === 0 ? alarm! : mixed(none!, full!, 0.25 + (0.75 * count) / Math.max(samples, 1));
      });
      canvas.setAttribute("aria-valuemax", String(active.length - 1));
      const gone = active.flatMap((count, index) => (count === 0 ? [index] : []));
      setText(title, TITLES[of]);
      setText(summary, `${formatInteger(gone.length)} of ${formatInteger(active.length)} units ${of === "activation" ? "were never active" : "got no gradient"} in this step`);
      dead.hidden = gone.length === 0;
      setText(names, gone.slice(0, MOST_NAMED).join(", ") + (gone.length > MOST_NAMED ? ", …" : ""));
      tell(chosen);
    },
  };
}

function describe({ active, saturated, samples, of }: Units, index: number): string {
  if (of === "gradient") return `Unit ${index}: ${active[index]! > 0 ? "a gradient reached it" : "no gradient reached it"}`;
  const share = (count: number) => formatShare(samples > 0 ? count / samples : null);
  const limit = saturated[index]! > 0 ? `, at a limit in ${share(saturated[index]!)}` : "";
  return `Unit ${index}: active in ${share(active[index]!)} of ${formatInteger(samples)} samples${limit}`;
}

function mixed(from: readonly number[], to: readonly number[], share: number): number[] {
  return from.map((value, index) => value + (to[index]! - value) * share);
}
