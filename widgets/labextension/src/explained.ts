// The explanation that was asked for while training is paused, above the views of the run; it can be closed.
import type { TranslationBundle } from "@jupyterlab/translation";
import { h, setText } from "../../frontend/src/dom";
import { mountExplanation } from "../../frontend/src/explanation_mount";
import type { Explained } from "./kernel";

export class ExplainedView {
  readonly node: HTMLElement;
  #trans: TranslationBundle;
  #view = h("div");
  #shown: Explained | null = null;
  #unmount = () => {};

  constructor(trans: TranslationBundle) {
    this.#trans = trans;
    const close = h("button", { type: "button", class: "deepseek-copy", "data-testid": "explained-close" }, trans.__("Close the explanation"));
    close.addEventListener("click", () => this.#takeAway());
    const bar = h("div", { class: "deepseek-bar" }, close);
    this.node = h("section", { "aria-label": trans.__("Explanation"), "data-testid": "panel-explained", hidden: true }, bar, this.#view);
  }

  /** Shows one that is new; one that was closed stays so. */
  show(explained: Explained | null): void {
    if (explained === this.#shown) return;
    this.#takeAway();
    this.#shown = explained;
    if (explained === null) return;
    this.node.hidden = false;
    try {
      this.#unmount = mountExplanation(this.#view, explained.message, explained.payload);
    } catch (error) {
      setText(this.#view, this.#trans.__("The explanation could not be drawn: %1", String(error)));
    }
    this.node.scrollIntoView({ block: "nearest" });
  }

  #takeAway(): void {
    this.#unmount();
    this.#unmount = () => {};
    this.#view.replaceChildren();
    this.node.hidden = true;
  }
}
