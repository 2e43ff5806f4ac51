// The control bar: what may be asked of the training while it runs.
import { h, setText } from "../dom";
import { formatInteger } from "../format";
import type { Header } from "../generated/messages";
import type { Command } from "../generated/requests";
import type { Host, View } from "./view";

const ENDED = "This run has ended: there is nothing to control.";
const CONNECTING = "Connecting to the training…";

/** A connection that failed is tried again with the next news after so long. */
const RETRY_MS = 5000;

/** So long after a command the session is asked where it stands: the news of a pause may have crossed it. */
const LOOK_MS = 300;

/** So long the button that stops the training waits for the second click. */
const SURE_MS = 4000;

export function controlView({ setup, control }: Host, parent: HTMLElement): View {
  const pause = button("Pause", "control-pause", "Hold the training after the step in progress");
  const step = button("Step", "control-step", "Let one step pass, then pause again");
  const explain = button("Explain", "control-explain", "Explain the current weights on the inputs of session.explain_with");
  const stop = button("Stop", "control-stop", "End the training after the step in progress");
  const halve = button("×0.5", "control-halve", "Halve the learning rate");
  const double = button("×2", "control-double", "Double the learning rate");
  const rate = h("input", { inputmode: "decimal", size: 7, maxlength: 30, placeholder: "3e-4", "data-testid": "control-rate" });
  const condition = h("input", { size: 16, maxlength: 500, placeholder: "loss > 10", "data-testid": "control-condition" });
  const rateForm = form("Learning rate", rate, submit("Set", "control-set"), halve, double);
  const breakForm = form("Pause when", condition, submit("Watch", "control-watch"));
  const fields = h("fieldset", { "aria-label": "Control of the training" }, pause, step, stop, explain, rateForm, breakForm);
  const note = h("p", { class: "ds-note", role: "status", "data-testid": "control-note" });
  parent.append(h("section", { class: "ds-control", "data-testid": "control" }, fields, note));

  let status: { state: Header["state"]; step: number } | null = null;
  let ready = false;
  let asked = -Infinity;
  let message = typeof control === "string" ? control : setup.session === undefined ? ENDED : CONNECTING;
  let sure: number | undefined;

  const show = () => {
    const paused = status?.state === "paused";
    fields.disabled = !ready || !(paused || status?.state === "running");
    fields.dataset["state"] = status?.state ?? "";
    step.disabled = !paused;
    explain.hidden = !paused;
    setText(pause, paused ? "Resume" : "Pause");
    setText(stop, sure === undefined ? "Stop" : "Really stop?");
    setText(note, message || (paused ? `Paused after step ${formatInteger(status?.step ?? 0)}.` : ""));
  };
  const take = (next: NonNullable<typeof status>) => {
    if (ready && next.state !== status?.state) message = "";
    status = next;
  };
  const look = async () => {
    if (typeof control === "string") return;
    try {
      const info = (await control.sessions()).find(({ key }) => key === setup.session);
      ready = info !== undefined;
      if (info === undefined) message = ENDED;
      else take(info);
    } catch (error) {
      message = sentence(error);
    }
    show();
  };
  const connect = async () => {
    if (ready || message === ENDED || performance.now() < asked + RETRY_MS) return;
    asked = performance.now();
    await look();
    if (ready) message = "";
    show();
  };
  const send = async (command: Command, said: string) => {
    if (typeof control === "string" || setup.session === undefined) return;
    try {
      await control.command(setup.session, command);
      message = said;
    } catch (error) {
      message = sentence(error);
    }
    show();
    window.setTimeout(() => void look(), LOOK_MS);
  };

  pause.addEventListener("click", () => {
    const paused = status?.state === "paused";
    void send({ verb: paused ? "resume" : "pause" }, paused ? "" : "Pausing after this step…");
  });
  step.addEventListener("click", () => void send({ verb: "step_once" }, ""));
  stop.addEventListener("click", () => {
    if (sure === undefined) {
      sure = window.setTimeout(() => ((sure = undefined), show()), SURE_MS);
      show();
      return;
    }
    clearTimeout(sure);
    sure = undefined;
    void send({ verb: "stop" }, "Stopping after this step…");
  });
  explain.addEventListener("click", () => void send({ verb: "explain" }, "Explaining the current weights: in the panel, and below the cell that trains."));
  const scale = (factor: number) => void send({ verb: "set_lr", factor }, `Learning rate ×${factor} from the next step on.`);
  halve.addEventListener("click", () => scale(0.5));
  double.addEventListener("click", () => scale(2));
  rateForm.addEventListener("submit", () => {
    const value = Number(rate.value);
    if (rate.value.trim() !== "" && Number.isFinite(value) && value >= 0) {
      void send({ verb: "set_lr", value }, `Learning rate ${value} from the next step on.`);
    } else {
      message = "A learning rate is a number from 0, such as 3e-4.";
      show();
    }
  });
  breakForm.addEventListener("submit", () => {
    const text = condition.value.trim();
    if (text !== "") void send({ verb: "break_on", condition: text }, `Pauses when ${text}.`);
  });

  show();
  return {
    update({ header }) {
      take(header);
      if (header.state === "closed" || header.state === "interrupted") message = ENDED;
      void connect();
      show();
    },
    remove: () => clearTimeout(sure),
  };
}

function button(text: string, testid: string, hint: string): HTMLButtonElement {
  return h("button", { type: "button", title: hint, "data-testid": testid }, text);
}

function submit(text: string, testid: string): HTMLButtonElement {
  return h("button", { "data-testid": testid }, text);
}

/** A field and what belongs to it; Enter submits it, also where a notebook keeps the key from doing so. */
function form(label: string, field: HTMLElement, ...buttons: HTMLElement[]): HTMLFormElement {
  const element = h("form", { "aria-label": label }, h("label", {}, label, field), ...buttons);
  element.addEventListener("submit", (event) => event.preventDefault());
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    element.requestSubmit();
  });
  return element;
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
