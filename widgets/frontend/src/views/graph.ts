// The module graph: boxes that collapse and expand, coloured by a metric, with the tensors between them.
import { h, setText } from "../dom";
import { formatNumber, layerLabel } from "../format";
import type { ModuleGraph } from "../graph";
import { HEADER, type Layout } from "../graph_layout";
import { Layouter } from "../graph_layouter";
import { ancestors, type Box, expandedAtFirst, toTree, type Tree, within } from "../graph_tree";
import { type BoxLayers, columnAt, foundLayers, layerFinder, valuesAt, worstOf } from "../graph_values";
import { type Link, toVisible, type Visible } from "../graph_visible";
import { DIRECTIONS, nextIn } from "../graph_way";
import { colourRange } from "../grid";
import type { State } from "../store";
import { areaOf, boxTexts, drawBox, drawLink, linkText, measure } from "./graph_parts";
import { legend, metricSelect, paintOf, stepSlider } from "./graph_scale";
import { graphSearch } from "./graph_search";
import { type Part, Stage } from "./graph_stage";
import { graphTable } from "./graph_table";
import { boxLabel, boxTip, linkTip } from "./graph_tip";
import type { Host, Selection, View } from "./view";

const HEIGHT = 40;
const SMALL_HEIGHT = 24;
const NAME_SIZE = 12;
const TEXT_SIZE = 11;
const NOTHING: Tree = { boxes: [], boxOf: new Map() };

interface Scene {
  visible: Visible;
  layout: Layout;
  /** By box its place among the visible ones. */
  index: Map<number, number>;
  boxes: Box[];
}

/** What the boxes stand for at the step that is shown. */
interface Reading {
  state: State;
  selection: Selection;
  values: Map<number, number>;
  range: [number, number];
  found: Set<number>;
  layersOf: (box: Box) => BoxLayers;
}

export function graphView(host: Host, parent: HTMLElement): View {
  const layouter = new Layouter();
  const stage = new Stage("The module graph", () => paint());
  const width = measure(host.root);
  const note = h("p", { class: "ds-graph-note", hidden: true, "data-testid": "graph-note" });
  const none = h("p", { class: "ds-empty" }, "The graph comes with the first step that is observed.");
  const tip = h("div", { class: "ds-tip", hidden: true, "data-testid": "graph-tip" });
  const search = graphSearch(goTo, () => paint());
  const metric = metricSelect(host);
  const colours = legend();
  const time = stepSlider(host);
  const table = graphTable(() => paint());
  const button = (name: string, text: string, title: string, act: () => void) => {
    const made = h("button", { type: "button", title, "aria-label": title, "data-testid": `graph-${name}` }, text);
    made.addEventListener("click", act);
    return made;
  };
  const everywhere = "in the chosen box, or everywhere";
  const buttons = [
    button("expand", "Expand all", `Expand all ${everywhere}`, () => setAll(true)),
    button("collapse", "Collapse all", `Collapse all ${everywhere}`, () => setAll(false)),
    button("out", "−", "Zoom out", () => stage.zoom(-1)),
    button("in", "+", "Zoom in", () => stage.zoom(1)),
    button("fit", "Fit", "Show the whole graph", () => stage.fit()),
  ];
  const colourBy = h("label", { class: "ds-note" }, "Colour by ", metric.element);
  const head = h("div", { class: "ds-section-head" }, h("h3", {}, "Graph"), colourBy, search.element);
  head.append(h("span", { class: "ds-graph-buttons" }, ...buttons));
  const frame = h("div", { class: "ds-stage" }, stage.element, tip);
  const foot = h("div", { class: "ds-graph-foot" }, colours.element, time.element);
  const body = h("div", {}, frame, foot, table.element);
  const element = h("section", { class: "ds-card ds-graph", "data-testid": "graph" }, head, note, none, body);
  parent.append(element);

  let graph: ModuleGraph | null = null;
  let tree = NOTHING;
  let expanded = new Set<number>();
  let scene: Scene | null = null;
  let reading: Reading | null = null;
  let layersOf: { layers: unknown; of: (box: Box) => BoxLayers } | null = null;
  let chosen: number | null = null;
  let requests = 0;

  stage.element.addEventListener("click", (event) => {
    const target = event.target as Element;
    const box = boxAt(target);
    if (box === null) return;
    if (target.closest(".ds-box-toggle") === null) choose(box);
    else toggle(box);
  });
  stage.element.addEventListener("dblclick", ({ target }) => {
    const box = boxAt(target as Element);
    if (box !== null && (target as Element).closest(".ds-box-toggle") === null) toggle(box);
  });
  stage.element.addEventListener("keydown", (event) => {
    const box = boxAt(event.target as Element);
    if (box === null) return;
    const direction = DIRECTIONS[event.key];
    if (event.key === "Enter" && box.children.length > 0) toggle(box);
    else if (event.key === "Enter" || event.key === " ") choose(box);
    else if (direction !== undefined) step(box, direction);
    else return;
    event.preventDefault();
  });
  stage.element.addEventListener("focusin", ({ target }) => {
    const box = boxAt(target as Element);
    if (box === null) return;
    setFocused(box.id);
    showTip(target as Element);
  });
  stage.element.addEventListener("focusout", () => (tip.hidden = true));
  stage.element.addEventListener("pointerover", ({ target }) => showTip(target as Element));
  stage.element.addEventListener("pointerleave", () => (tip.hidden = true));

  function boxAt(target: Element): Box | null {
    const id = target.closest<SVGGElement>(".ds-box")?.dataset["box"];
    return id === undefined ? null : tree.boxes[Number(id)]!;
  }

  function choose(box: Box): void {
    chosen = box.id;
    setFocused(box.id);
    const layer = reading && (reading.layersOf(box).own ?? worst(box));
    host.select(layer === null ? {} : { layer });
  }

  function toggle(box: Box): void {
    if (box.children.length === 0) return;
    if (!expanded.delete(box.id)) expanded.add(box.id);
    chosen = box.id;
    void arrange(box.id);
  }

  function setAll(open: boolean): void {
    const roots = tree.boxes.filter(({ parent }) => parent === null);
    const boxes = chosen === null ? roots.flatMap(({ id }) => within(tree, id)) : within(tree, chosen);
    for (const id of boxes) {
      if (open && tree.boxes[id]!.children.length > 0) expanded.add(id);
      if (!open) expanded.delete(id);
    }
    // To collapse everything leaves what is in the model to be seen.
    if (chosen === null && !open) for (const { id, children } of roots) if (children.length > 0) expanded.add(id);
    void arrange(chosen);
  }

  function goTo(id: number): void {
    for (const each of ancestors(tree, id)) expanded.add(each);
    void arrange(null).then(() => {
      setFocused(id);
      reveal(id);
      paint();
    });
  }

  function step(box: Box, direction: [number, number]): void {
    const next = scene?.boxes[nextIn(scene.layout.places, scene.index.get(box.id)!, direction)];
    if (next === undefined) return;
    reveal(next.id);
    focusBox(next.id);
  }

  function reveal(id: number): void {
    const place = scene?.layout.places[scene.index.get(id) ?? -1];
    if (place !== undefined) stage.reveal({ ...place, height: Math.min(place.height, HEIGHT) });
  }

  function setFocused(id: number): void {
    if (stage.focused !== null) stage.drawnPart(stage.focused)?.setAttribute("tabindex", "-1");
    stage.focused = `box ${id}`;
    stage.drawnPart(stage.focused)?.setAttribute("tabindex", "0");
  }

  function focusBox(id: number): void {
    setFocused(id);
    stage.drawnPart(`box ${id}`)?.focus({ preventScroll: true });
  }

  /** Lays out what is seen now and draws it; `still` names a box that does not move. */
  async function arrange(still: number | null): Promise<void> {
    if (graph === null) return;
    const request = (requests += 1);
    const visible = toVisible(graph, tree, expanded);
    const boxes = visible.boxes.map((id) => tree.boxes[id]!);
    const layout = await layouter.layout({
      boxes: boxes.map((box) => ({ id: box.id, parent: box.parent, ...sizeOf(box) })),
      joints: visible.links.map((link) => ({ source: link.source, target: link.target, label: width(linkText(link), TEXT_SIZE) + 8 })),
    });
    if (request !== requests) return;
    const before = scene;
    scene = { visible, layout, boxes, index: new Map(visible.boxes.map((id, index) => [id, index])) };
    if (before !== null && still !== null) {
      const [old, now] = [before, scene].map(({ layout, index }) => layout.places[index.get(still) ?? -1]);
      if (old !== undefined && now !== undefined) stage.hold([old.x, old.y], [now.x, now.y]);
    }
    draw(before);
  }

  function sizeOf(box: Box): { width: number; height: number } {
    const [first, second] = boxTexts(box);
    const [name, type] = [width(first, NAME_SIZE), width(second, TEXT_SIZE)];
    const room = box.children.length > 0 ? 40 : 20;
    if (expanded.has(box.id)) return { width: name + type + room + 16, height: HEADER };
    return { width: Math.max(56, name + room, type + room), height: second === "" ? SMALL_HEIGHT : HEIGHT };
  }

  function draw(before: Scene | null): void {
    if (scene === null) return;
    const { visible, layout, boxes } = scene;
    const had = stage.element.contains(document.activeElement) && document.activeElement !== stage.element;
    const parts = boxes.map(
      (box, i): Part => ({ key: `box ${box.id}`, area: layout.places[i]!, draw: () => drawBox(box, layout.places[i]!, expanded.has(box.id)) }),
    );
    const ends = ({ source, target }: Link): [string, string] => [tree.boxes[source]!.node.site, tree.boxes[target]!.node.site];
    const links = visible.links.map(
      (link, i): Part => ({
        key: `link ${link.source} ${link.target} ${link.tied}`,
        area: areaOf(layout.paths[i]!),
        draw: () => drawLink(link, layout.paths[i]!, layout.labels[i]!, ends(link)),
      }),
    );
    const frames = parts.filter((_, i) => expanded.has(boxes[i]!.id));
    const solid = parts.filter((_, i) => !expanded.has(boxes[i]!.id));
    if (stage.focused === null || !parts.some(({ key }) => key === stage.focused)) {
      stage.focused = chosen !== null && scene.index.has(chosen) ? `box ${chosen}` : (solid[0]?.key ?? null);
    }
    stage.show([...frames, ...links, ...solid], layout);
    if (before === null) stage.fit(true);
    if (had && stage.focused !== null) stage.drawnPart(stage.focused)?.focus({ preventScroll: true });
    stage.element.dataset["boxes"] = String(boxes.length);
    stage.element.dataset["arranged"] = String(requests);
    stage.element.dataset["threaded"] = String(layouter.threaded);
  }

  function worst(box: Box): number | null {
    return reading && worstOf(reading.layersOf(box).all, reading.values, reading.selection.metric.worst);
  }

  function valueOf(box: Box): number | null {
    const layer = worst(box);
    return layer === null ? null : reading!.values.get(layer)!;
  }

  function valueText(box: Box): string {
    const layer = worst(box);
    if (reading === null || layer === null) return "";
    const text = `${reading.selection.metric.title} ${formatNumber(reading.values.get(layer)!)}`;
    return layer === reading.layersOf(box).own ? text : `${text} (worst: ${layerLabel(reading.state.layers[layer]!)})`;
  }

  function hasFinding(box: Box): boolean {
    if (reading === null || reading.found.size === 0) return false;
    const { all } = reading.layersOf(box);
    return [...reading.found].some((layer) => all.has(layer));
  }

  function showTip(target: Element): void {
    const box = boxAt(target);
    const key = target.closest<SVGGElement>(".ds-link")?.dataset["link"];
    const link = scene?.visible.links.find(({ source, target: end, tied }) => `${source} ${end} ${tied}` === key);
    tip.hidden = scene === null || (box === null && link === undefined);
    if (tip.hidden) return;
    const { boxes } = tree;
    tip.replaceChildren(...(box ? boxTip(box, valueText(box), hasFinding(box), boxes, scene!.visible.links) : linkTip(link!, boxes)));
    const [at, room] = [target.getBoundingClientRect(), frame.getBoundingClientRect()];
    const middle = Math.min(room.width - 190, Math.max(190, at.left + at.width / 2 - room.left));
    tip.style.left = `${middle}px`;
    const below = at.bottom - room.top + 8;
    const above = below > room.height - 120;
    tip.style.top = `${above ? Math.min(room.height, at.top - room.top) - 8 : below}px`;
    tip.style.transform = `translate(-50%, ${above ? "-100%" : "0"})`;
  }

  /** Gives the boxes that are drawn the look that the newest reading asks for. */
  function paint(): void {
    if (scene === null || reading === null) return;
    const { range, selection } = reading;
    for (const box of scene.boxes) {
      const part = stage.drawnPart(`box ${box.id}`);
      if (part === null) continue;
      const value = valueOf(box);
      const open = expanded.has(box.id);
      const { fill, tone } = paintOf(open ? null : value, range, selection.metric.scale);
      const { own, all } = reading.layersOf(box);
      const selected = selection.layer !== null && (open ? own === selection.layer : all.has(selection.layer));
      const marked = hasFinding(box);
      const look = { tone, chosen: String(selected), finding: String(marked && !open), value: value === null ? "" : formatNumber(value) };
      const match = search.current === box.id ? "current" : String(search.matches.has(box.id));
      Object.assign(part.dataset, look, { match });
      part.style.setProperty("--ds-fill", fill === "" ? null : fill);
      part.setAttribute("aria-label", boxLabel(box, valueText(box), marked));
      part.setAttribute("tabindex", stage.focused === `box ${box.id}` ? "0" : "-1");
    }
    table.show(scene.boxes, selection.metric.title, valueOf);
  }

  return {
    update(state, selection) {
      body.hidden = head.hidden = state.graph === null;
      none.hidden = state.graph !== null;
      if (state.graph === null) return;
      if (layersOf?.layers !== state.layers || state.graph !== graph) {
        layersOf = { layers: state.layers, of: layerFinder(state.graph, state.layers) };
      }
      const matrix = state.metrics.get(selection.metric.name);
      const rows = state.rows.get(selection.metric.name) ?? [];
      const values = matrix === undefined ? new Map<number, number>() : valuesAt(matrix, rows, columnAt(state.steps, selection.step));
      const range = colourRange((matrix?.values ?? new Float32Array()) as Float32Array, selection.metric.scale);
      reading = { state, selection, values, range, found: foundLayers(state.findings, state.layers), layersOf: layersOf.of };
      metric.show(selection);
      colours.show(selection, range);
      time.show(state, selection);
      if (state.graph !== graph) {
        graph = state.graph;
        tree = toTree(graph);
        expanded = expandedAtFirst(tree);
        scene = null;
        chosen = null;
        stage.focused = null;
        note.hidden = graph.complete;
        setText(note, `The graph is not complete: ${graph.note}.`);
        search.renew(tree);
        void arrange(null);
      }
      paint();
    },
    remove() {
      layouter.close();
      stage.remove();
    },
  };
}
