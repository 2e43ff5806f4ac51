// Puts the views of one run into an element and keeps them up to date.
import type { Bokeh } from "./bokeh";
import type { Control } from "./control";
import { h } from "./dom";
import type { Setup } from "./generated/messages";
import type { State, Store } from "./store";
import { colourChart, currentTheme, watchTheme } from "./theme";
import { compareView } from "./views/compare";
import { controlView } from "./views/control";
import { findingsView } from "./views/findings";
import { flowView } from "./views/flow";
import { graphView } from "./views/graph";
import { headerView } from "./views/header";
import { heatmapView } from "./views/heatmap";
import { layerView } from "./views/layer";
import { lossView } from "./views/loss";
import { type Tab, tabsView } from "./views/tabs";
import type { Host, Selection, View } from "./views/view";

/** Between two drawings of news: a drawing takes tens of milliseconds of a core that training may need. */
const PAUSE_MS = 250;

const NO_CONTROL = "These are saved figures: there is nothing to control.";

const TABS: readonly [Tab, ...Tab[]] = [
  { name: "steps", title: "Layers over steps", make: heatmapView },
  { name: "graph", title: "Graph", make: graphView },
  { name: "flow", title: "Tensor flow", make: flowView },
  { name: "compare", title: "Compare steps", make: compareView },
];

/**
 * Draws everything into an element that is in the page; returns a function that takes it away again.
 *
 * `control` is the way to the training, or the sentence that says why there is none;
 * `pauseMs` tells how long to wait between two drawings of news.
 */
export async function mount(
  root: HTMLElement,
  bokeh: Bokeh,
  setup: Setup,
  store: Store,
  control: Control | string = NO_CONTROL,
  pauseMs: () => number = () => PAUSE_MS,
): Promise<() => void> {
  root.className = "deepseek-widget";
  root.dataset["testid"] = "deepseek-widget";
  // Keys pressed in the widget belong to the widget, not to the notebook's shortcuts.
  root.dataset["lmSuppressShortcuts"] = "true";
  root.dataset["theme"] = currentTheme();
  const [metric] = setup.metrics;
  if (metric === undefined) throw new Error("There is no metric to show.");
  const selection: Selection = { metric, layer: null, step: null };
  const host: Host = { bokeh, setup, root, control, select: (change) => (Object.assign(selection, change), schedule()) };
  const page = h("div", { class: "ds-page" });
  root.replaceChildren(page);

  let frame = 0;
  let timer = 0;
  let drawn = 0;
  const views: View[] = [];
  function draw(): void {
    frame = 0;
    drawn = performance.now();
    if (store.state === null) return;
    selection.layer ??= firstLayer(store.state, selection.metric.name);
    for (const view of views) view.update(store.state, selection);
  }
  function schedule(): void {
    if (frame === 0) frame = requestAnimationFrame(draw);
  }
  function scheduleNews(): void {
    if (timer !== 0) return;
    timer = window.setTimeout(() => ((timer = 0), schedule()), Math.max(0, drawn + pauseMs() - performance.now()));
  }

  const columns = h("div", { class: "ds-columns" });
  views.push(
    ...(await Promise.all([
      headerView(setup, page),
      controlView(host, page),
      (page.append(columns), lossView(host, columns)),
      findingsView(host, columns),
      tabsView(host, page, TABS),
      layerView(host, page),
    ])),
  );

  const recolour = () => {
    root.dataset["theme"] = currentTheme();
    for (const chart of views.flatMap((view) => view.charts ?? [])) colourChart(chart, root);
  };
  recolour();
  draw();
  const stops = [watchTheme(recolour), store.subscribe(scheduleNews)];
  return () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    for (const stop of stops) stop();
    for (const view of views) view.remove?.();
    root.replaceChildren();
  };
}

/** The layer to start with: the first one with this metric, if there is any. */
function firstLayer({ rows, layers }: State, metric: string): number | null {
  return rows.get(metric)?.[0] ?? (layers.length > 0 ? 0 : null);
}
