// What the panel says when there is no run to show: why, and the one thing that helps.
import type { TranslationBundle } from "@jupyterlab/translation";
import { h } from "../../frontend/src/dom";

export type Absence =
  | "no-notebook"
  | "no-kernel"
  | "other-language"
  | "connecting"
  | "disconnected"
  | "no-subshell"
  | "no-deepseek"
  | "no-session";

export interface Advice {
  title: string;
  text: string;
  /** Something to run in a cell. */
  code?: string;
  /** A command of JupyterLab and its label. */
  command?: { id: string; label: string };
}

export function advice(absence: Absence, trans: TranslationBundle): Advice {
  switch (absence) {
    case "no-notebook":
      return {
        title: trans.__("No notebook is open"),
        text: trans.__("The panel follows the notebook in front and shows the training in it."),
        command: { id: "notebook:create-new", label: trans.__("New notebook") },
      };
    case "no-kernel":
      return {
        title: trans.__("This notebook has no Jupyter kernel"),
        text: trans.__("A training runs in a Jupyter kernel: choose one for this notebook."),
        command: { id: "notebook:change-kernel", label: trans.__("Choose a kernel") },
      };
    case "other-language":
      return {
        title: trans.__("This Jupyter kernel does not speak Python"),
        text: trans.__("PyTorch models are watched in Python kernels."),
        command: { id: "notebook:change-kernel", label: trans.__("Change the kernel") },
      };
    case "connecting":
      return { title: trans.__("Connecting"), text: trans.__("Asking the Jupyter kernel for its training sessions.") };
    case "disconnected":
      return {
        title: trans.__("Disconnected"),
        text: trans.__("The Jupyter kernel cannot be reached at the moment; training goes on."),
        command: { id: "notebook:reconnect-to-kernel", label: trans.__("Reconnect") },
      };
    case "no-subshell":
      return {
        title: trans.__("This Jupyter kernel does not answer while it runs a cell"),
        text: trans.__("It answers between cells and between the steps of a watched training. For more, install this and restart it:"),
        code: "%pip install 'ipykernel>=7'",
      };
    case "no-deepseek":
      return {
        title: trans.__("DeepSeek is not loaded in this Jupyter kernel"),
        text: trans.__("Run this in a cell:"),
        code: "%load_ext deepseek",
      };
    case "no-session":
      return {
        title: trans.__("Nothing is being watched"),
        text: trans.__("Before the training, in the same cell or an earlier one:"),
        code: "%deepseek_inspect model --optimizer optimizer",
      };
  }
}

/** The code with a button that copies it. */
export function snippet(code: string, trans: TranslationBundle): HTMLElement {
  const button = h("button", { type: "button", class: "deepseek-copy" }, trans.__("Copy"));
  button.addEventListener("click", () => void navigator.clipboard.writeText(code));
  return h("div", { class: "deepseek-snippet" }, h("code", {}, code), button);
}
