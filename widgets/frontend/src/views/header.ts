// The first line: which model, how far, how fast, at what cost.
import { h, setText } from "../dom";
import { formatInteger, formatNumber, formatShare } from "../format";
import type { Header, Setup } from "../generated/messages";
import type { View } from "./view";

const STATES = { running: "running", paused: "paused", closed: "finished", interrupted: "interrupted" } as const;

export function headerView(setup: Setup, parent: HTMLElement): View {
  const state = h("span", { class: "ds-state", "data-testid": "header-state", role: "status" });
  const meta = setup.meta.filter(({ name }) => name !== "model").map(({ name, value }) => `${name}: ${value}`);
  const title = h("h2", { class: "ds-title", title: meta.join("\n") }, setup.title);
  const tiles = {
    step: tile("step", "header-step"),
    scalar: tile("loss", "header-loss"),
    speed: tile("steps/s", "header-speed"),
    overhead: tile("overhead", "header-overhead"),
    dropped: tile("dropped", "header-dropped"),
  };
  tiles.dropped.element.title = "Steps that were lost because the store could not keep up";
  const list = h("dl", { class: "ds-tiles" }, ...Object.values(tiles).map(({ element }) => element));
  const element = h("div", { class: "ds-header" }, h("div", { class: "ds-name" }, title, state), list);
  parent.append(element);

  return {
    update({ header }) {
      state.dataset["state"] = header.state;
      setText(state, STATES[header.state]);
      tiles.step.show(formatInteger(header.step));
      tiles.scalar.show(scalarText(header), header.scalar?.name);
      tiles.scalar.element.classList.toggle("ds-alarm", typeof header.scalar?.value === "string");
      tiles.speed.show(header.steps_per_second === null ? "–" : formatNumber(header.steps_per_second, 3));
      const { overhead } = header;
      tiles.overhead.show(overhead === null ? "measuring" : formatShare(overhead.share));
      tiles.overhead.note(overhead === null ? "" : `${bare(overhead.low)}–${formatShare(overhead.high)}`);
      tiles.overhead.element.title = overheadHint(header);
      tiles.dropped.show(formatInteger(header.dropped));
      tiles.dropped.element.classList.toggle("ds-alarm", header.dropped > 0);
    },
  };
}

function tile(label: string, testid: string) {
  const name = h("dt", {}, label);
  const value = h("span", { "data-testid": testid }, "–");
  const spread = h("small", {});
  const element = h("div", { class: "ds-tile" }, name, h("dd", {}, value, spread));
  return {
    element,
    note: (text: string) => setText(spread, text),
    show(text: string, newLabel?: string) {
      setText(value, text);
      if (newLabel !== undefined) setText(name, newLabel);
    },
  };
}

function scalarText(header: Header): string {
  const value = header.scalar?.value;
  if (value === undefined) return "–";
  return typeof value === "number" ? formatNumber(value) : value;
}

function bare(share: number | null): string {
  return formatShare(share).replace(" %", "");
}

function overheadHint({ overhead }: Header): string {
  if (overhead === null) return "Share of the step time that the inspector costs; not measured yet";
  const how =
    overhead.method === "interleaved"
      ? "observed steps compared with unobserved steps of this run"
      : "time spent inside the probes";
  return `Share of the step time that the inspector costs, with quartiles: ${how}`;
}
