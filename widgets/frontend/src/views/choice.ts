// A labelled choice among some names; nothing is seen of it where there is only one.
import { h } from "../dom";

export interface Choice {
  element: HTMLElement;
  /** Place of what is chosen. */
  readonly index: number;
}

export function choice(label: string, names: readonly string[], testid: string, changed: () => void): Choice {
  const options = names.map((name, index) => h("option", { value: index }, name));
  const select = h("select", { "data-testid": testid }, ...options);
  select.addEventListener("change", changed);
  return {
    element: h("label", { class: "ds-choice", hidden: names.length < 2 }, label, select),
    get index() {
      return Math.max(0, select.selectedIndex);
    },
  };
}
