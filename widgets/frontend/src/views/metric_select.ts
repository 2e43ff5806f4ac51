// The choice of a metric where its radio buttons would take too much room.
import { h } from "../dom";
import type { Host, Selection } from "./view";

export function metricSelect(
  host: Host,
  label: string,
  testid: string,
): { element: HTMLElement; show(selection: Selection): void } {
  const options = host.setup.metrics.map(({ name, title }) => h("option", { value: name }, title));
  const element = h("select", { "aria-label": label, "data-testid": testid }, ...options);
  element.addEventListener("change", () => host.select({ metric: host.setup.metrics[element.selectedIndex]! }));
  return {
    element,
    show({ metric }) {
      element.value = metric.name;
      element.title = metric.description;
    },
  };
}
