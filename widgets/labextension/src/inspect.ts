// "Inspect model…": asks for the names and writes the cell; running it is left to the user.
import { Dialog, showDialog } from "@jupyterlab/apputils";
import { NotebookActions, type NotebookPanel } from "@jupyterlab/notebook";
import type { TranslationBundle } from "@jupyterlab/translation";
import { Widget } from "@lumino/widgets";
import { h } from "../../frontend/src/dom";

/** A variable, or an attribute of one. */
const NAME = /^[\p{L}_][\p{L}\p{N}_]*(\.[\p{L}_][\p{L}\p{N}_]*)*$/u;

interface Names {
  model: string;
  optimizer: string;
}

class Form extends Widget implements Dialog.IBodyWidget<Names> {
  #model: HTMLInputElement;
  #optimizer: HTMLInputElement;

  constructor(trans: TranslationBundle) {
    super();
    const field = (name: string) => h("input", { class: "jp-mod-styled", value: name, spellcheck: "false", "data-testid": `inspect-${name}` });
    this.#model = field("model");
    this.#optimizer = field("optimizer");
    this.addClass("deepseek-inspect");
    this.node.append(
      h("label", {}, trans.__("Model"), this.#model),
      h("label", {}, trans.__("Optimizer; empty if there is none"), this.#optimizer),
      h("p", {}, trans.__("A cell that begins the inspection is inserted above the active one. Run it before the training.")),
    );
  }

  getValue(): Names {
    return { model: this.#model.value.trim(), optimizer: this.#optimizer.value.trim() };
  }
}

/** Inserts the cell that the user agreed to. */
export async function inspectModel({ content: notebook }: NotebookPanel, trans: TranslationBundle): Promise<void> {
  const buttons = [Dialog.cancelButton(), Dialog.okButton({ label: trans.__("Insert cell") })];
  const title = trans.__("Inspect a model while it trains");
  const { button, value } = await showDialog({ title, body: new Form(trans), buttons, focusNodeSelector: "input" });
  if (!button.accept || value === null || notebook.isDisposed) return;
  const { model, optimizer } = value;
  for (const name of optimizer === "" ? [model] : [model, optimizer]) {
    if (!NAME.test(name)) throw new Error(trans.__("Expected the name of a variable, such as model, got: %1", name || "nothing"));
  }
  NotebookActions.insertAbove(notebook);
  const command = `%deepseek_inspect ${model}${optimizer && ` --optimizer ${optimizer}`}`;
  notebook.activeCell?.model.sharedModel.setSource(`%load_ext deepseek\n${command}`);
}
