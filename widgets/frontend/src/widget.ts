// The notebook's host: an anywidget whose model brings the data, and later BokehJS and the charts.
import type { AnyModel } from "@anywidget/types";
import { mount } from "./app";
import { loadBokeh } from "./bokeh";
import { type ChartSource, type Coming, coming } from "./charts";
import { controlOf } from "./control";
import { h } from "./dom";
import { isCharts, isSetup } from "./generated/validate";
import { Sight } from "./seen";
import { hideStatic } from "./static";
import { Store } from "./store";

type Packet = { message: unknown; payload: DataView } | null;

interface Traits extends Record<string, unknown> {
  key: string;
  setup: unknown;
  snapshot: Packet;
  graph: Packet;
  charts: Packet;
  details: NonNullable<Packet>[];
  failure: string;
}

/** Traits that hold a message each. */
const PACKETS = ["snapshot", "graph", "charts"] as const;

interface Run {
  store: Store;
  charts: Coming<ChartSource>;
  /** Of all its views in this page. */
  sight: Sight;
}

const NO_KERNEL = "Controls need JupyterLab; elsewhere call session.pause(), session.resume() and the like.";

/** What the models brought: kept here and taken out of them, so that no megabytes are saved with the notebook. */
const runs = new Map<string, Run>();

function initialize({ model }: { model: AnyModel<Traits> }): () => void {
  const key = model.get("key");
  const control = controlOf(model);
  const tell = (seen: boolean) => control?.tellSeen(key, seen);
  const run: Run = { store: new Store(), charts: coming(), sight: new Sight(tell) };
  runs.set(key, run);

  const take = () => {
    for (const name of PACKETS) {
      const packet = model.get(name);
      if (!packet?.message) continue;
      if (isCharts(packet.message)) run.charts.resolve(drawing(packet.message.documents, packet.payload));
      else run.store.receive(packet.message, packet.payload);
      model.set(name, null);
    }
    const details = model.get("details") ?? [];
    for (const { message, payload } of details) run.store.receive(message, payload);
    if (details.length > 0) model.set("details", []);
  };
  const increment = (message: unknown, buffers?: DataView[]) => {
    run.store.receive(message, buffers?.[0] as DataView);
  };
  take();
  const changes = ["details" as const, ...PACKETS].map((name) => `change:${name}` as const);
  for (const change of changes) model.on(change, take);
  model.on("msg:custom", increment);
  return () => {
    for (const change of changes) model.off(change, take);
    model.off("msg:custom", increment);
    runs.delete(key);
  };
}

function drawing(documents: ChartSource["documents"], program: DataView): ChartSource {
  return { documents, bokeh: loadBokeh(new TextDecoder().decode(program)) };
}

function render({ model, el }: { model: AnyModel<Traits>; el: HTMLElement }): (() => void) | undefined {
  const key = model.get("key");
  const run = runs.get(key);
  const setup = model.get("setup");
  // Without a state this is a saved copy of the widget: the static picture below it shows the run.
  if (run === undefined || run.store.state === null || !isSetup(setup)) return undefined;
  const notice = h("p", { class: "deepseek-notice", hidden: true });
  const root = h("div");
  el.append(notice, root);
  const showFailure = () => {
    notice.textContent = model.get("failure");
    notice.hidden = notice.textContent === "";
  };
  showFailure();
  model.on("change:failure", showFailure);
  const ends = [() => model.off("change:failure", showFailure)];
  let gone = false;
  const start = async () => {
    await attached(root, () => gone);
    if (gone) return;
    ends.push(mount(root, setup, run.store, run.charts.promise, controlOf(model) ?? NO_KERNEL).end, hideStatic(document, key));
    if (setup.session !== undefined) ends.push(run.sight.of(root));
  };
  start().catch((error: unknown) => {
    notice.textContent = `The live view could not be drawn: ${String(error)}`;
    notice.hidden = false;
  });
  return () => {
    gone = true;
    ends.splice(0).forEach((end) => end());
  };
}

/** Waits until the element is in the page, which hosts see to after they called `render`. */
async function attached(element: Element, isGone: () => boolean): Promise<void> {
  while (!element.isConnected && !isGone()) await new Promise((resolve) => setTimeout(resolve, 20));
}

export default { initialize, render };
