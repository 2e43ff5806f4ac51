// The item in the status bar: how far, how fast, and what was found.
import type { TranslationBundle } from "@jupyterlab/translation";
import { Widget } from "@lumino/widgets";
import { setText } from "../../frontend/src/dom";
import { formatInteger, formatNumber } from "../../frontend/src/format";
import type { State } from "../../frontend/src/store";
import type { Watcher } from "./watcher";

export class StatusItem extends Widget {
  #watcher: Watcher;
  #trans: TranslationBundle;
  #state: State | null = null;

  constructor(watcher: Watcher, trans: TranslationBundle) {
    super();
    this.#watcher = watcher;
    this.#trans = trans;
    this.addClass("deepseek-status");
    this.title.caption = trans.__("The training in the notebook in front");
    this.node.dataset["testid"] = "deepseek-status";
    watcher.changed.connect(this.#show, this);
  }

  #show(): void {
    const state = this.#watcher.watch?.run?.store.state ?? null;
    if (state === this.#state) return;
    this.#state = state;
    setText(this.node, state === null ? "" : this.#text(state));
  }

  #text({ header, findings }: State): string {
    const parts = [this.#trans.__("step %1", formatInteger(header.step))];
    if (header.steps_per_second !== null) {
      parts.push(this.#trans.__("%1 steps/s", formatNumber(header.steps_per_second, 3)));
    }
    parts.push(this.#trans._n("%1 finding", "%1 findings", findings.length));
    return parts.join(" · ");
  }
}
