// What the sparse gates open: the share of active blocks over steps, and how often each block was open of late.
import { h, setText } from "../dom";
import type { Matrix } from "../decode";
import { formatInteger, formatShare, layerLabel } from "../format";
import type { Gate, MetricInfo } from "../generated/messages";
import { colourRange, type Grid, toGrid } from "../grid";
import type { State } from "../store";
import { heatCanvas } from "./heat_canvas";
import type { Host, View } from "./view";

const METRIC = "activation_ratio";

export function gatesView(host: Host, parent: HTMLElement): View {
  const metric = host.setup.metrics.find(({ name }) => name === METRIC)!;
  const canvas = heatCanvas(host.root);
  const axis = h("div", { class: "ds-heat-axis" }, "step");
  const label = "The share of blocks that each gate opens, over steps, as colours";
  const plot = h("div", { class: "ds-plot ds-heatmap", role: "img", "aria-label": label, "data-testid": "gates-map" }, ...canvas.elements, axis);
  const none = h("p", { class: "ds-empty" }, "No gate was seen in a training step yet.");
  const pointed = h("p", { class: "ds-hint" });
  const list = gateTable(host);
  const head = h("div", { class: "ds-section-head" }, h("h3", {}, "Share of active blocks"));
  parent.append(h("section", { class: "ds-card ds-gates" }, head, none, plot, pointed, list.element));

  let shown: { grid: Grid; state: State; layers: number[] } | null = null;
  const at = (event: MouseEvent) => {
    const cell = canvas.at(event);
    return cell === null || shown === null ? null : { ...cell, ...shown, layer: shown.layers[cell.row]! };
  };
  plot.addEventListener("click", (event) => {
    const cell = at(event);
    if (cell !== null) host.select({ layer: cell.layer });
  });
  plot.addEventListener("pointermove", (event) => {
    const cell = at(event);
    if (cell === null) return;
    const step = cell.state.steps[cell.grid.source[cell.column]!] ?? 0;
    const share = formatShare(cell.grid.values[cell.row * cell.grid.columns + cell.column]!);
    setText(pointed, `${cell.state.layers[cell.layer]!.name}, step ${formatInteger(step)}: ${share}`);
  });
  plot.addEventListener("pointerleave", () => shown && setText(pointed, hintText(metric, shown.state)));

  return {
    update(state, { layer }) {
      const measured = state.rows.get(METRIC) ?? [];
      const seen = state.gates.filter((gate) => measured.includes(gate.layer));
      const matrix = rowsOf(state.metrics.get(METRIC), seen.map((gate) => measured.indexOf(gate.layer)));
      const grid = toGrid(matrix, state.steps, state.stride, metric.worst);
      const layers = seen.map((gate) => gate.layer);
      plot.hidden = grid.rows === 0;
      none.hidden = !plot.hidden;
      if (!plot.hidden) canvas.show(grid, seen.map((gate) => gateName(gate, state)), metric.scale, colourRange(grid.values, metric.scale));
      canvas.choose(layer === null ? -1 : layers.indexOf(layer));
      if (shown === null || shown.state.stride !== state.stride) setText(pointed, hintText(metric, state));
      shown = { grid, state, layers };
      list.show(state, new Map(layers.map((each, row) => [each, newestOf(matrix, row)])), layer);
    },
  };
}

/** The gates one by one: what the colours show as numbers, and what happens to each block. */
function gateTable(host: Host) {
  const body = h("tbody");
  const names = ["gate", "active now", "blocks, and the share of samples that opened each", "samples"];
  const heads = names.map((name, index) => h("th", { scope: "col", class: index % 2 === 1 ? "ds-number" : null }, name));
  const table = h("table", {}, h("thead", {}, h("tr", {}, ...heads)), body);
  const element = h("div", { class: "ds-scroll", tabindex: 0, role: "region", "aria-label": "gates", "data-testid": "gates-table" }, table);
  let built = "";
  let rows: { row: HTMLElement; badge: HTMLElement; newest: HTMLElement; blocks: HTMLElement; samples: HTMLElement }[] = [];

  function build({ gates, layers }: State): void {
    rows = gates.map((gate) => {
      const open = h("button", { type: "button", title: "Show this gate" }, layerLabel(layers[gate.layer]!));
      open.addEventListener("click", () => host.select({ layer: gate.layer }));
      const title = "It decided the same for every sample of its newest window: static pruning would do.";
      const badge = h("span", { class: "ds-badge", "data-severity": "warning", "data-testid": "gate-constant", title, hidden: true }, "constant");
      const [newest, blocks, samples] = [h("td", { class: "ds-number" }), h("td"), h("td", { class: "ds-number" })];
      const row = h("tr", { "data-testid": "gate-row", "data-layer": gate.layer }, h("th", { scope: "row" }, open, " ", badge), newest, blocks, samples);
      return { row, badge, newest, blocks, samples };
    });
    body.replaceChildren(...rows.map(({ row }) => row));
  }

  return {
    element,
    show(state: State, newest: Map<number, number>, chosen: number | null): void {
      const key = state.gates.map(({ layer }) => `${layer} ${state.layers[layer]!.name}`).join("\n");
      if (key !== built) build(state);
      built = key;
      state.gates.forEach((gate, index) => {
        const cells = rows[index]!;
        cells.badge.hidden = !gate.constant;
        cells.row.classList.toggle("ds-chosen", gate.layer === chosen);
        setText(cells.newest, formatShare(newest.get(gate.layer) ?? null));
        setText(cells.samples, gate.samples > 0 ? formatInteger(gate.samples) : "–");
        showBlocks(cells.blocks, gate);
      });
    },
  };
}

function showBlocks(cell: HTMLElement, { open, blocks }: Gate): void {
  const text = open.map((share) => formatShare(share)).join(", ");
  if (cell.dataset["shares"] === text) return;
  cell.dataset["shares"] = text;
  const squares = open.map((share, block) => {
    const square = h("span", { title: `block ${block}: ${formatShare(share)}` });
    square.style.setProperty("--ds-share", `${100 * share}%`);
    return square;
  });
  const more = blocks > open.length ? [h("small", {}, `and ${formatInteger(blocks - open.length)} more`)] : [];
  cell.replaceChildren(h("span", { class: "ds-blocks", role: "img", "aria-label": text || "not known yet" }, ...squares), ...more);
}

function gateName({ layer, constant }: Gate, { layers }: State): string {
  return `${layers[layer]!.name}${constant ? " (constant)" : ""}`;
}

function rowsOf(matrix: Matrix | undefined, rows: number[]): Matrix {
  const columns = matrix?.columns ?? 0;
  const values = new Float32Array(rows.length * columns);
  rows.forEach((row, place) => values.set(matrix!.values.subarray(row * columns, (row + 1) * columns), place * columns));
  return { rows: rows.length, columns, values };
}

/** The newest value that is known of a row. */
function newestOf({ values, columns }: Matrix, row: number): number {
  const known = [...values.subarray(row * columns, (row + 1) * columns)].filter((value) => !Number.isNaN(value));
  return known.at(-1) ?? NaN;
}

function hintText({ worst }: MetricInfo, { stride }: State): string {
  const merged = stride > 1 ? ` Each column shows the ${worst === "max" ? "largest" : "smallest"} of ${stride} steps.` : "";
  return `Over all samples of a training step. A gate that opens the same blocks for all of them is constant.${merged}`;
}
