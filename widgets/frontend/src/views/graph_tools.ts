// The line above the graph: title, colours, search, buttons.
import { h } from "../dom";

export interface Actions {
  expand(): void;
  collapse(): void;
  zoom(direction: 1 | -1): void;
  fit(): void;
}

export function graphTools(actions: Actions, metric: HTMLElement, search: HTMLElement): HTMLElement {
  const button = (name: string, text: string, title: string, act: () => void) => {
    const made = h("button", { type: "button", title, "aria-label": title, "data-testid": `graph-${name}` }, text);
    made.addEventListener("click", act);
    return made;
  };
  const where = "in the chosen box, or everywhere";
  const buttons = [
    button("expand", "Expand all", `Expand all ${where}`, actions.expand),
    button("collapse", "Collapse all", `Collapse all ${where}`, actions.collapse),
    button("out", "−", "Zoom out", () => actions.zoom(-1)),
    button("in", "+", "Zoom in", () => actions.zoom(1)),
    button("fit", "Fit", "Fit: show the whole graph", actions.fit),
  ];
  const colourBy = h("label", { class: "ds-note" }, "Colour by ", metric);
  const group = h("span", { class: "ds-graph-buttons" }, ...buttons);
  return h("div", { class: "ds-section-head" }, h("h3", {}, "Graph"), colourBy, search, group);
}
