// Puts the views of one run into an element and keeps them up to date.
import { ChartShelf, type ChartSource } from "./charts";
import type { Control } from "./control";
import { h } from "./dom";
import type { Setup } from "./generated/messages";
import { Pace } from "./pace";
import { watchSeen } from "./seen";
import type { State, Store } from "./store";
import { currentTheme, watchTheme } from "./theme";
import { compareView } from "./views/compare";
import { controlView } from "./views/control";
import { findingsView } from "./views/findings";
import { flowView } from "./views/flow";
import { gatesView } from "./views/gates";
import { graphView } from "./views/graph";
import { headerView } from "./views/header";
import { heatmapView } from "./views/heatmap";
import { layerView } from "./views/layer";
import { lossView } from "./views/loss";
import { precisionView } from "./views/precision";
import { type Tab, tabsView } from "./views/tabs";
import type { Host, Selection, View } from "./views/view";

/** Between two drawings of news, of which ten a second are sent at most. */
const PAUSE_MS = 50;

const NO_CONTROL = "These are saved figures: there is nothing to control.";

const TABS: readonly [Tab, ...Tab[]] = [
  { name: "steps", title: "Layers over steps", make: heatmapView },
  { name: "graph", title: "Graph", make: graphView },
  { name: "flow", title: "Tensor flow", make: flowView },
  { name: "compare", title: "Compare steps", make: compareView },
  { name: "gates", title: "Gates", make: gatesView, present: ({ gates }) => gates.length > 0 },
  { name: "precision", title: "Precision", make: precisionView, present: ({ precision }) => precision !== null },
];

export interface Mounted {
  /** Resolves when the charts that are seen at first are there. */
  drawn: Promise<unknown>;
  /** Takes everything away again. */
  end(): void;
}

/**
 * Draws everything into an element that is in the page.
 *
 * `charts` may come later than all else; `control` is the way to the training, or the sentence that says why there is
 * none; `pauseMs` tells how long to wait between two drawings of news.
 */
export function mount(
  root: HTMLElement,
  setup: Setup,
  store: Store,
  charts: Promise<ChartSource>,
  control: Control | string = NO_CONTROL,
  pauseMs: () => number = () => PAUSE_MS,
): Mounted {
  root.className = "deepseek-widget";
  root.dataset["testid"] = "deepseek-widget";
  // Keys pressed in the widget belong to the widget, not to the notebook's shortcuts.
  root.dataset["lmSuppressShortcuts"] = "true";
  root.dataset["theme"] = currentTheme();
  const [metric] = setup.metrics;
  if (metric === undefined) throw new Error("There is no metric to show.");
  const selection: Selection = { metric, layer: null, step: null };
  const views: View[] = [];
  const draw = () => {
    if (store.state === null) return;
    selection.layer ??= firstLayer(store.state, selection.metric.name);
    for (const view of views) view.update(store.state, selection);
  };
  const pace = new Pace(draw, pauseMs);
  const shelf = new ChartShelf(root, charts);
  const host: Host = {
    setup,
    root,
    control,
    select: (change) => (Object.assign(selection, change), pace.now()),
    chart: (name, target) => shelf.draw(name, target),
    later: (part, drawPart) => pace.later(part, drawPart),
  };
  const page = h("div", { class: "ds-page" });
  const columns = h("div", { class: "ds-columns" });
  root.replaceChildren(page);
  views.push(headerView(setup, page), controlView(host, page));
  page.append(columns);
  views.push(lossView(host, columns), findingsView(host, columns), tabsView(host, page, TABS), layerView(host, page));
  draw();

  const recolour = () => {
    root.dataset["theme"] = currentTheme();
    shelf.colour();
  };
  const stops = [watchTheme(recolour), store.subscribe(() => pace.soon()), watchSeen(root, (seen) => (pace.seen = seen))];
  return {
    drawn: shelf.drawn,
    end() {
      pace.end();
      for (const stop of stops) stop();
      for (const view of views) view.remove?.();
      shelf.remove();
      root.replaceChildren();
    },
  };
}

/** The layer to start with: the first one with this metric, if there is any. */
function firstLayer({ rows, layers }: State, metric: string): number | null {
  return rows.get(metric)?.[0] ?? (layers.length > 0 ? 0 : null);
}
