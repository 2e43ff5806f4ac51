// What may be asked of a model: which sample, by which method, against what, for which output.
import { h, setText } from "../dom";
import { formatInteger } from "../format";
import type { CancelRequest, Choices, ExplainRequest, Progress } from "../generated/explanations";

export interface ExplainForm {
  element: HTMLElement;
  show(progress: Progress): void;
}

/** `send` hands a wish to whoever computes. */
export function explainForm({ samples, targets, methods, asked }: Choices, send: (request: ExplainRequest | CancelRequest) => void): ExplainForm {
  const sample = h("input", { type: "number", min: 0, max: samples - 1, step: 1, value: asked.sample, "data-testid": "explain-sample" });
  const method = select(methods.map(({ name }) => name), asked.method, "explain-method");
  const against = select([], "", "explain-against");
  const target = select(targets, asked.target, "explain-target");
  const begin = h("button", { type: "submit", "data-testid": "explain-begin" }, "Explain");
  const cancel = h("button", { type: "button", "data-testid": "explain-cancel" }, "Cancel");
  const labelled = (text: string, field: HTMLElement) => h("label", {}, text, field);
  const againstLabel = labelled("against", against);
  const targetLabel = labelled("Output", target);
  const form = h("form", { "aria-label": "What to explain" }, labelled(`Sample (of ${formatInteger(samples)})`, sample), labelled("by", method), againstLabel, targetLabel, begin, cancel);
  const said = h("p", { class: "ds-note ds-said", role: "status", "data-testid": "explain-said" });

  const showMethod = () => {
    const names = methods[method.selectedIndex]?.against ?? [];
    const before = against.value === "" ? asked.against : against.value;
    against.replaceChildren(...names.map((name) => h("option", {}, name)));
    against.value = names.includes(before) ? before : (names[0] ?? "");
    // A method that compares with nothing has no target either.
    againstLabel.hidden = targetLabel.hidden = names.length === 0;
  };
  method.addEventListener("change", showMethod);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const row = Number(sample.value);
    if (!Number.isInteger(row) || row < 0 || row >= samples || sample.value === "") {
      return setText(said, `A sample is a whole number from 0 to ${samples - 1}.`);
    }
    send({ type: "explain", sample: row, method: method.value, against: against.value, target: target.value });
  });
  // Enter submits, also where a notebook keeps the key from doing so.
  sample.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  cancel.addEventListener("click", () => send({ type: "cancel" }));
  showMethod();
  return {
    element: h("section", { class: "ds-control", "data-testid": "explain-form" }, form, said),
    show(progress) {
      cancel.disabled = progress.state !== "computing" && progress.state !== "waiting";
      said.dataset["state"] = progress.state;
      setText(said, progress.said);
    },
  };
}

function select(names: readonly string[], chosen: string, testid: string): HTMLSelectElement {
  const element = h("select", { "data-testid": testid }, ...names.map((name) => h("option", {}, name)));
  element.value = chosen;
  return element;
}
