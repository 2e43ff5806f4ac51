// The panel on the right: the run of the notebook in front, or why there is none.
import type { TranslationBundle } from "@jupyterlab/translation";
import type { CommandRegistry } from "@lumino/commands";
import type { Message } from "@lumino/messaging";
import { Widget } from "@lumino/widgets";
import { mount } from "../../frontend/src/app";
import { h, setText } from "../../frontend/src/dom";
import { OPEN_RUN } from "./commands";
import { type Absence, advice, snippet } from "./empty";
import { ExplainedView } from "./explained";
import { icon } from "./icon";
import type { KernelWatch, Run } from "./kernel";
import type { Watcher } from "./watcher";

/** What a button of the panel does: a command and its label. */
export interface Action {
  command: string;
  label: string;
}

export class Panel extends Widget {
  #watcher: Watcher;
  #commands: CommandRegistry;
  #trans: TranslationBundle;
  #choice: HTMLSelectElement;
  #notice = h("div", { class: "deepseek-panel-notice", role: "status", "data-testid": "panel-notice", hidden: true });
  #empty = h("div", { class: "deepseek-empty", "data-testid": "panel-empty", hidden: true });
  #explained: ExplainedView;
  #host = h("div");
  #absence: Absence | null = null;
  #run: Run | null = null;
  #unmount: (() => void) | null = null;

  constructor(id: string, watcher: Watcher, commands: CommandRegistry, trans: TranslationBundle, actions: readonly Action[]) {
    super();
    this.#watcher = watcher;
    this.#commands = commands;
    this.#trans = trans;
    this.id = id;
    this.addClass("deepseek-panel");
    this.title.icon = icon;
    this.title.caption = "DeepSeek Workbench";
    this.#choice = h("select", { class: "deepseek-choice", "aria-label": trans.__("Session"), hidden: true });
    this.#choice.addEventListener("change", () => this.#watcher.watch?.choose(this.#choice.value));
    this.node.setAttribute("role", "region");
    this.node.setAttribute("aria-label", "DeepSeek Workbench");
    this.node.dataset["testid"] = "deepseek-panel";
    const bar = h("div", { class: "deepseek-bar", role: "toolbar", "aria-label": trans.__("Panel") }, this.#choice);
    bar.append(...actions.map((action) => this.#button(action)));
    this.#explained = new ExplainedView(trans);
    this.node.append(bar, this.#notice, this.#empty, this.#explained.node, this.#host);
    watcher.changed.connect(this.#show, this);
  }

  override dispose(): void {
    this.#explained.show(null);
    this.#takeAway();
    super.dispose();
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.#visible(true);
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.#visible(this.isVisible);
  }

  protected override onBeforeHide(message: Message): void {
    this.#visible(false);
    super.onBeforeHide(message);
  }

  protected override onBeforeDetach(message: Message): void {
    this.#visible(false);
    super.onBeforeDetach(message);
  }

  #visible(visible: boolean): void {
    this.#watcher.show(this, visible);
    if (visible) this.#show();
  }

  #show(): void {
    const { notebook, watch } = this.#watcher;
    if (!this.isVisible) return;
    this.#showSessions(watch);
    this.#showNotice(watch);
    const run = watch?.run ?? null;
    this.#showEmpty(run !== null ? null : notebook === null ? "no-notebook" : (watch?.absence ?? "no-kernel"));
    if (run !== this.#run) this.#showRun(run);
    this.#explained.show(run?.explained ?? null);
  }

  #showSessions(watch: KernelWatch | null): void {
    const sessions = watch?.sessions ?? [];
    this.#choice.hidden = sessions.length < 2;
    if (this.#choice.hidden) return;
    const chosen = watch?.run?.session.key;
    const options = sessions.map(({ key, title }, index) =>
      h("option", { value: key, selected: key === chosen }, this.#trans.__("%1: %2", index + 1, title)),
    );
    if (this.#choice.innerHTML === h("select", {}, ...options).innerHTML) return;
    this.#choice.replaceChildren(...options);
  }

  #showNotice(watch: KernelWatch | null): void {
    const text = watch === null || watch.run === null ? "" : this.#noticeText(watch);
    this.#notice.hidden = text === "";
    if (this.#notice.hidden || this.#notice.firstChild?.textContent === text) return;
    this.#notice.replaceChildren(h("p", {}, text));
    const path = watch?.restartedAt ? watch.run?.session.path : undefined;
    if (!path) return;
    this.#notice.append(snippet(`deepseek.open_run(${JSON.stringify(path)}).widget()`, this.#trans));
    const action = { command: OPEN_RUN, label: this.#trans.__("Open the saved run") };
    if (this.#commands.hasCommand(OPEN_RUN)) this.#notice.append(this.#button(action, { file: path }));
  }

  #noticeText({ restartedAt, isConnected }: KernelWatch): string {
    if (restartedAt !== null) {
      const time = restartedAt.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
      return this.#trans.__("The Jupyter kernel was restarted at %1. This is the last view; the saved run:", time);
    }
    return isConnected ? "" : this.#trans.__("Disconnected: training goes on, the view follows when the connection is back.");
  }

  #button({ command, label }: Action, args: { file?: string } = {}): HTMLButtonElement {
    const button = h("button", { type: "button", class: "deepseek-copy", "data-testid": command.replace(":", "-") }, label);
    button.addEventListener("click", () => void this.#commands.execute(command, args));
    return button;
  }

  #showEmpty(absence: Absence | null): void {
    if (absence === this.#absence) return;
    this.#absence = absence;
    this.#empty.hidden = absence === null;
    if (absence === null) return;
    const { title, text, code, command } = advice(absence, this.#trans);
    this.#empty.dataset["absence"] = absence;
    this.#empty.replaceChildren(h("h2", {}, title), h("p", {}, text));
    if (code !== undefined) this.#empty.append(snippet(code, this.#trans));
    if (command === undefined || !this.#commands.hasCommand(command.id)) return;
    const button = h("button", { type: "button", class: "jp-mod-styled jp-mod-accept" }, command.label);
    button.addEventListener("click", () => void this.#commands.execute(command.id));
    this.#empty.append(button);
  }

  #showRun(run: Run | null): void {
    this.#takeAway();
    this.#run = run;
    if (run === null) return;
    const root = h("div");
    this.#host.replaceChildren(root);
    try {
      const { pauseMs } = this.#watcher.preferences;
      this.#unmount = mount(root, run.setup, run.store, run.charts.promise, run.control, pauseMs).end;
    } catch (error) {
      setText(root, this.#trans.__("The run could not be drawn: %1", String(error)));
    }
  }

  #takeAway(): void {
    this.#unmount?.();
    this.#unmount = null;
    this.#run = null;
    this.#host.replaceChildren();
  }
}
