// The saved report's host: everything it shows lies in the page.
import { mount } from "./app";
import type { Bokeh } from "./bokeh";
import { h } from "./dom";
import { type Carried, mountExplanations } from "./explanation_page";
import { isCharts, isSetup } from "./generated/validate";
import { Store } from "./store";

interface Data {
  setup: unknown;
  charts: unknown;
  messages: Carried[];
  explanations?: Carried[];
}

async function main(): Promise<void> {
  const data = JSON.parse(document.getElementById("deepseek-data")?.textContent ?? "null") as Data;
  const root = document.getElementById("deepseek-live");
  if (root === null || !isSetup(data.setup) || !isCharts(data.charts)) return;
  const store = new Store();
  for (const { message, payload } of data.messages) {
    const bytes = Uint8Array.from(atob(payload), (letter) => letter.charCodeAt(0));
    store.receive(message, new DataView(bytes.buffer));
  }
  const { Bokeh: bokeh } = window as unknown as { Bokeh: Bokeh };
  bokeh.set_log_level("error");
  await mount(root, data.setup, store, Promise.resolve({ bokeh, documents: data.charts.documents })).drawn;
  const explanations = h("div", { class: "ds-explanations" });
  root.after(explanations);
  mountExplanations(explanations, data.explanations ?? []);
  document.documentElement.classList.add("deepseek-ready");
}

void main();
