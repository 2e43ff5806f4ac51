// Puts the view of one explanation into an element.
import { h } from "./dom";
import { isAttention, readExplanation, type Explanation } from "./explanation";
import { currentTheme, watchTheme } from "./theme";
import { attentionView } from "./views/attention";
import { attributionView } from "./views/attribution";

/** What of an explanation is seen: drawn anew where the colours have changed. */
export interface ExplanationView {
  draw(): void;
}

/** Draws an explanation into an element; returns a function that takes it away again. Throws where it cannot be read. */
export function mountExplanation(root: HTMLElement, message: unknown, payload: DataView): () => void {
  const explanation = readExplanation(message, payload);
  root.className = "deepseek-widget";
  root.dataset["testid"] = "deepseek-explanation";
  // Keys pressed in the widget belong to the widget, not to the notebook's shortcuts.
  root.dataset["lmSuppressShortcuts"] = "true";
  const page = h("div", { class: "ds-page" });
  root.replaceChildren(page);
  const view = viewOf(explanation, root, page);
  const draw = () => {
    root.dataset["theme"] = currentTheme();
    view.draw();
  };
  draw();
  const stop = watchTheme(draw);
  return () => {
    stop();
    root.replaceChildren();
  };
}

function viewOf(explanation: Explanation, root: HTMLElement, page: HTMLElement): ExplanationView {
  return isAttention(explanation) ? attentionView(explanation, root, page) : attributionView(explanation, root, page);
}
