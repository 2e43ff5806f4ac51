// A saved run in the main area: the same views as beside a notebook, brought up to date while the run grows.
import type { TranslationBundle } from "@jupyterlab/translation";
import type { Message } from "@lumino/messaging";
import { Widget } from "@lumino/widgets";
import { mount } from "../../frontend/src/app";
import { h, setText } from "../../frontend/src/dom";
import type { Charts, Setup } from "../../frontend/src/generated/messages";
import { isCharts, isSetup } from "../../frontend/src/generated/validate";
import { Store } from "../../frontend/src/store";
import type { RunData, RunServer } from "./server";

/** Between two looks at a run that grows; and so many times as long as the last look took. */
const LOOK_MS = 2000;
const REST = 10;

export class RunView extends Widget {
  #server: RunServer;
  #path: () => string;
  #trans: TranslationBundle;
  #notice = h("div", { class: "deepseek-panel-notice", role: "alert", "data-testid": "run-notice", hidden: true });
  #host = h("div");
  #store = new Store();
  #version = "";
  /** Tells the shown run from another one in the same place. */
  #shown = "";
  #unmount: (() => void) | null = null;
  #looking = false;
  #timer = 0;
  #wake = () => void (this.isVisible && !document.hidden && this.refresh());

  constructor(server: RunServer, path: () => string, trans: TranslationBundle) {
    super();
    this.#server = server;
    this.#path = path;
    this.#trans = trans;
    this.addClass("deepseek-panel");
    this.node.setAttribute("role", "region");
    this.node.setAttribute("aria-label", trans.__("Run"));
    this.node.dataset["testid"] = "deepseek-run";
    this.node.append(this.#notice, this.#host);
    document.addEventListener("visibilitychange", this.#wake);
  }

  override dispose(): void {
    document.removeEventListener("visibilitychange", this.#wake);
    window.clearTimeout(this.#timer);
    this.#unmount?.();
    super.dispose();
  }

  /** Shows what is in the file by now. */
  async refresh(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    window.clearTimeout(this.#timer);
    const began = performance.now();
    try {
      const data = await this.#server.run(this.#path(), this.#version);
      if (data !== null && !this.isDisposed) await this.#take(data);
      this.#tell("");
    } catch (error) {
      this.#tell(error instanceof Error ? error.message : String(error));
    }
    this.#looking = false;
    this.#again(performance.now() - began);
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.#wake();
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.#wake();
  }

  #again(took: number): void {
    const state = this.#store.state?.header.state;
    if (this.isDisposed || (state !== "running" && state !== "paused")) return;
    this.#timer = window.setTimeout(this.#wake, Math.max(LOOK_MS, REST * took));
  }

  #tell(text: string): void {
    this.#notice.hidden = text === "";
    setText(this.#notice, text);
  }

  async #take({ version, setup, charts, messages }: RunData): Promise<void> {
    if (!isSetup(setup) || !isCharts(charts)) throw new Error(this.#trans.__("The Jupyter server and this page are of different versions: reload the page."));
    const shown = JSON.stringify([setup.title, setup.meta]);
    if (shown !== this.#shown) this.#store = new Store();
    // Each answer counts its messages from the start.
    else if (this.#store.state !== null) this.#store.state = { ...this.#store.state, sequence: -1 };
    for (const { message, payload } of messages) this.#store.receive(message, view(payload));
    if (shown !== this.#shown) await this.#draw(setup, charts);
    this.#shown = shown;
    this.#version = version;
  }

  async #draw(setup: Setup, { documents }: Charts): Promise<void> {
    const bokeh = await this.#server.bokeh();
    if (this.isDisposed) return;
    this.#unmount?.();
    const root = h("div");
    this.#host.replaceChildren(root);
    this.#unmount = mount(root, setup, this.#store, Promise.resolve({ bokeh, documents })).end;
  }
}

function view(payload: string): DataView {
  return new DataView(Uint8Array.from(atob(payload), (letter) => letter.charCodeAt(0)).buffer);
}
