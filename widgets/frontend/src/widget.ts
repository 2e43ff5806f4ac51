// The notebook's host: an anywidget whose model brings BokehJS, the documents and the data.
import type { AnyModel } from "@anywidget/types";
import { mount } from "./app";
import { loadBokeh } from "./bokeh";
import { Control, type KernelConnection } from "./control";
import { h } from "./dom";
import { isSetup } from "./generated/validate";
import { hideStatic } from "./static";
import { Store } from "./store";

interface Traits extends Record<string, unknown> {
  key: string;
  bokeh_js: DataView | null;
  setup: unknown;
  snapshot: { message: unknown; payload: DataView } | null;
  graph: { message: unknown; payload: DataView } | null;
  details: { message: unknown; payload: DataView }[];
  failure: string;
}

/** Traits that hold a message each. */
const PACKETS = ["snapshot", "graph"] as const;

interface Run {
  store: Store;
  bokehSource: string;
}

const NO_KERNEL = "Controls need JupyterLab; elsewhere call session.pause(), session.resume() and the like.";

/** What the models brought: kept here and taken out of them, so that no megabytes are saved with the notebook. */
const runs = new Map<string, Run>();

function initialize({ model }: { model: AnyModel<Traits> }): () => void {
  const key = model.get("key");
  const run: Run = { store: new Store(), bokehSource: "" };
  runs.set(key, run);

  const take = () => {
    const source = model.get("bokeh_js");
    if (source !== null && source.byteLength > 0) {
      run.bokehSource = new TextDecoder().decode(source);
      model.set("bokeh_js", null);
    }
    for (const name of PACKETS) {
      const packet = model.get(name);
      if (!packet?.message) continue;
      run.store.receive(packet.message, packet.payload);
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
  const changes = ["bokeh_js" as const, "details" as const, ...PACKETS].map((name) => `change:${name}` as const);
  for (const change of changes) model.on(change, take);
  model.on("msg:custom", increment);
  return () => {
    for (const change of changes) model.off(change, take);
    model.off("msg:custom", increment);
    runs.delete(key);
  };
}

function render({ model, el }: { model: AnyModel<Traits>; el: HTMLElement }): (() => void) | undefined {
  const key = model.get("key");
  const run = runs.get(key);
  const setup = model.get("setup");
  // Without BokehJS this is a saved copy of the widget: the static picture below it shows the run.
  if (run === undefined || run.bokehSource === "" || !isSetup(setup)) return undefined;
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
    const unmount = await mount(root, loadBokeh(run.bokehSource), setup, run.store, controlOf(model));
    ends.push(unmount, hideStatic(document, key));
    if (gone) ends.splice(0).forEach((end) => end());
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

/** The control over the Jupyter kernel of a model; what hosts the widget may keep the connection to itself. */
function controlOf(model: AnyModel<Traits>): Control | string {
  const manager = model.widget_manager as { kernel?: KernelConnection | null } | undefined;
  const kernel = manager?.kernel;
  return kernel ? Control.connect(kernel) : NO_KERNEL;
}

/** Waits until the element is in the page, which hosts see to after they called `render`. */
async function attached(element: Element, isGone: () => boolean): Promise<void> {
  while (!element.isConnected && !isGone()) await new Promise((resolve) => setTimeout(resolve, 20));
}

export default { initialize, render };
