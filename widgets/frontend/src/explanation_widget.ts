// The notebook's host of an explanation: an anywidget whose model brings everything. Where the model says what may be asked
// of it, a form does so, and what it shows follows the answers.
import type { AnyModel } from "@anywidget/types";
import { controlOf } from "./control";
import { h } from "./dom";
import { mountExplanation } from "./explanation_mount";
import { isChoices, isProgress } from "./generated/validate";
import { hideStatic } from "./static";
import { currentTheme, watchTheme } from "./theme";
import { explainForm } from "./views/explain_form";

interface Traits extends Record<string, unknown> {
  key: string;
  explanation: { message: unknown; payload: DataView } | null;
  choices?: unknown;
  progress?: unknown;
}

function render({ model, el }: { model: AnyModel<Traits>; el: HTMLElement }): () => void {
  const view = h("div");
  const ends = [...formOf(model, el), hideStatic(document, model.get("key"))];
  el.append(view);
  let unmount = () => {};
  const show = () => {
    unmount();
    unmount = () => {};
    const shown = model.get("explanation");
    if (shown !== null) unmount = mounted(view, shown.message, shown.payload);
  };
  show();
  model.on("change:explanation", show);
  ends.push(() => model.off("change:explanation", show));
  return () => {
    for (const end of ends) end();
    unmount();
  };
}

/** Draws an explanation, or says why it cannot be drawn. */
function mounted(root: HTMLElement, message: unknown, payload: DataView): () => void {
  try {
    return mountExplanation(root, message, payload);
  } catch (error) {
    root.className = "deepseek-notice";
    root.textContent = `The explanation could not be drawn: ${String(error)}`;
    return () => {};
  }
}

/** Adds the form, if anything may be asked; returns what ends it. */
function formOf(model: AnyModel<Traits>, el: HTMLElement): (() => void)[] {
  const choices = model.get("choices");
  if (!isChoices(choices)) return [];
  const form = explainForm(choices, (request) => (request.type === "cancel" ? cancel(model) : model.send(request)));
  const root = h("div", { class: "deepseek-widget" }, h("div", { class: "ds-page" }, form.element));
  // Keys pressed in the form belong to the form, not to the notebook's shortcuts.
  root.dataset["lmSuppressShortcuts"] = "true";
  el.append(root);
  const showProgress = () => {
    const progress = model.get("progress");
    if (isProgress(progress)) form.show(progress);
  };
  const recolour = () => (root.dataset["theme"] = currentTheme());
  showProgress();
  recolour();
  model.on("change:progress", showProgress);
  return [() => model.off("change:progress", showProgress), watchTheme(recolour)];
}

/** Ends the computation, also of a cell that runs, while which the Jupyter kernel hears nothing of its widgets. */
function cancel(model: AnyModel<Traits>): void {
  const send = () => model.send({ type: "cancel" });
  const control = controlOf(model);
  if (control === null) send();
  else control.cancel(model.get("key")).catch(send);
}

export default { render };
