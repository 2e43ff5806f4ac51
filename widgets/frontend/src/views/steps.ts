// The choice of two recorded steps, A and B.
import { nearestColumn } from "../compare";
import { h } from "../dom";
import { formatInteger } from "../format";

export interface StepChoice {
  element: HTMLElement;
  /** The chosen two of the columns; null where there are none. */
  among(columns: readonly number[], steps: Int32Array, stride: number): [number, number] | null;
}

/** To begin with A is the first recorded step and B the newest, which B follows until another one is chosen. */
export function stepChoice(changed: () => void): StepChoice {
  const sides = [side("A", changed), side("B", changed)] as const;
  return {
    element: h("div", { class: "ds-steps" }, ...sides.map(({ element }) => element)),
    among(columns, steps, stride) {
      if (columns.length === 0) return null;
      const [a, b] = sides;
      return [a.among(columns, steps, stride, columns[0]!), b.among(columns, steps, stride, columns.at(-1)!)];
    },
  };
}

function side(name: "A" | "B", changed: () => void) {
  const which = name.toLowerCase();
  const slider = h("input", { type: "range", min: 0, step: 1, "aria-label": `step ${name}`, "data-testid": `compare-slider-${which}` });
  const field = h("input", { type: "number", step: 1, "aria-label": `number of step ${name}`, "data-testid": `compare-step-${which}` });
  const note = h("span", { class: "ds-note" });
  // As the chart draws this side.
  const sign = h("span", { class: `ds-sign ds-sign-${which}`, "aria-hidden": "true" });
  const element = h("div", { class: "ds-step", role: "group", "aria-label": `Step ${name}` }, sign, h("b", {}, name), slider, field, note);
  let offered: number[] = [];
  /** Null for the step that this side begins with. */
  let chosen: number | null = null;
  let typing = false;

  slider.addEventListener("input", () => choose(offered[Number(slider.value)] ?? null));
  field.addEventListener("input", () => (typing = true));
  field.addEventListener("blur", () => (typing = false));
  field.addEventListener("change", () => {
    typing = false;
    choose(field.value === "" ? null : Number(field.value));
  });

  function choose(step: number | null): void {
    const usual = name === "A" ? offered[0] : offered.at(-1);
    chosen = step === usual ? null : step;
    changed();
  }

  return {
    element,
    among(columns: readonly number[], steps: Int32Array, stride: number, usual: number): number {
      const column = chosen === null ? usual : nearestColumn(columns, steps, chosen);
      offered = columns.map((each) => steps[each]!);
      const step = steps[column]!;
      slider.max = String(columns.length - 1);
      slider.value = String(columns.indexOf(column));
      slider.setAttribute("aria-valuetext", stepText(step, stride));
      field.min = String(offered[0]);
      field.max = String(offered.at(-1));
      if (!typing) field.value = String(step);
      note.textContent = stride > 1 ? stepText(step, stride) : "";
      return column;
    },
  };
}

/** What a column covers. */
export function stepText(step: number, stride: number): string {
  return stride === 1 ? `step ${formatInteger(step)}` : `steps ${formatInteger(step)}–${formatInteger(step + stride - 1)}`;
}
