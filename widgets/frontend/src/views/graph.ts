// The module graph: boxes that collapse and expand, coloured by a metric, with the tensors between them.
import { h, setText } from "../dom";
import type { ModuleGraph } from "../graph";
import { Layouter } from "../graph_layouter";
import { Reading } from "../graph_reading";
import { ancestors, type Box, expandedAtFirst, toTree, type Tree, within } from "../graph_tree";
import { layerFinder } from "../graph_values";
import { DIRECTIONS, nextIn } from "../graph_way";
import { paintBox } from "./graph_paint";
import { measure } from "./graph_parts";
import { legend, stepSlider } from "./graph_scale";
import { boxKey, linkKey, makeScene, partsOf, type Scene } from "./graph_scene";
import { graphSearch } from "./graph_search";
import { Stage } from "./graph_stage";
import { graphTable } from "./graph_table";
import { boxTip, linkTip, placeTip } from "./graph_tip";
import { graphTools } from "./graph_tools";
import { metricSelect } from "./metric_select";
import type { Host, Selection, View } from "./view";

const NOTHING: Tree = { boxes: [], boxOf: new Map() };
/** Of a box that is to be seen: it may be larger than the view. */
const HEAD_HEIGHT = 40;

export function graphView(host: Host, parent: HTMLElement): View {
  const layouter = new Layouter();
  const stage = new Stage("The module graph: the boxes are buttons, the arrow keys go from box to box", () => paint());
  const width = measure(host.root);
  const note = h("p", { class: "ds-graph-note", hidden: true, "data-testid": "graph-note" });
  const none = h("p", { class: "ds-empty" }, "The graph comes with the first step that is observed.");
  const tip = h("div", { class: "ds-tip", hidden: true, "data-testid": "graph-tip" });
  const search = graphSearch(goTo, () => paint());
  const metric = metricSelect(host, "colour by", "graph-metric");
  const colours = legend();
  const time = stepSlider(host);
  const table = graphTable(() => paint());
  const actions = {
    expand: () => setAll(true),
    collapse: () => setAll(false),
    zoom: (direction: 1 | -1) => stage.zoom(direction),
    fit: () => stage.fit(),
  };
  const tools = graphTools(actions, metric.element, search.element);
  const frame = h("div", { class: "ds-stage" }, stage.element, tip);
  const foot = h("div", { class: "ds-graph-foot" }, colours.element, time.element);
  const body = h("div", {}, tools, note, frame, foot, table.element);
  parent.append(h("section", { class: "ds-card ds-graph", "data-testid": "graph" }, none, body));

  let graph: ModuleGraph | null = null;
  let tree = NOTHING;
  let expanded = new Set<number>();
  let chosen: number | null = null;
  let scene: Scene | null = null;
  let requests = 0;
  let reading: Reading | null = null;
  let selection: Selection | null = null;
  let finder: { layers: unknown; of: Reading["layersOf"] } | null = null;

  const isToggle = (target: EventTarget | null) => (target as Element).closest(".ds-box-toggle") !== null;
  stage.element.addEventListener("click", ({ target }) => {
    const box = boxAt(target);
    if (box !== null) (isToggle(target) ? toggle : choose)(box);
  });
  stage.element.addEventListener("dblclick", ({ target }) => {
    const box = boxAt(target);
    if (box !== null && !isToggle(target)) toggle(box);
  });
  stage.element.addEventListener("keydown", (event) => {
    const box = boxAt(event.target);
    if (box === null) return;
    const direction = DIRECTIONS[event.key];
    if (event.key === "Enter" && box.children.length > 0) toggle(box);
    else if (event.key === "Enter" || event.key === " ") choose(box);
    else if (direction !== undefined) go(box, direction);
    else return;
    event.preventDefault();
  });
  stage.element.addEventListener("focusin", ({ target }) => {
    const box = boxAt(target);
    if (box !== null) stage.focus(boxKey(box.id), false);
    showTip(target);
  });
  stage.element.addEventListener("focusout", () => (tip.hidden = true));
  stage.element.addEventListener("pointerover", ({ target }) => showTip(target));
  stage.element.addEventListener("pointerleave", () => (tip.hidden = true));

  function boxAt(target: EventTarget | null): Box | null {
    const id = (target as Element).closest<SVGGElement>(".ds-box")?.dataset["box"];
    return id === undefined ? null : (tree.boxes[Number(id)] ?? null);
  }

  function choose(box: Box): void {
    chosen = box.id;
    stage.focus(boxKey(box.id), false);
    const layer = reading && (reading.layersOf(box).own ?? reading.worst(box));
    host.select(layer === null ? {} : { layer });
  }

  function toggle(box: Box): void {
    if (box.children.length === 0) return;
    if (!expanded.delete(box.id)) expanded.add(box.id);
    chosen = box.id;
    void arrange(box.id);
  }

  function setAll(open: boolean): void {
    const roots = tree.boxes.filter(({ parent }) => parent === null).map(({ id }) => id);
    for (const id of (chosen === null ? roots : [chosen]).flatMap((each) => within(tree, each))) {
      if (open && tree.boxes[id]!.children.length > 0) expanded.add(id);
      else expanded.delete(id);
    }
    // To collapse everything leaves what is in the model to be seen.
    if (chosen === null) for (const id of roots) if (tree.boxes[id]!.children.length > 0) expanded.add(id);
    void arrange(chosen);
  }

  function goTo(id: number): void {
    for (const each of ancestors(tree, id)) expanded.add(each);
    void arrange(null).then(() => {
      stage.focus(boxKey(id), false);
      reveal(id);
    });
  }

  function go(box: Box, direction: [number, number]): void {
    const next = scene?.boxes[nextIn(scene.layout.places, scene.index.get(box.id)!, direction)];
    if (next === undefined) return;
    reveal(next.id);
    stage.focus(boxKey(next.id), true);
  }

  function reveal(id: number): void {
    const place = scene?.layout.places[scene.index.get(id) ?? -1];
    if (place !== undefined) stage.reveal({ ...place, height: Math.min(place.height, HEAD_HEIGHT) });
  }

  /** Lays out what is seen now and draws it; `still` names a box that does not move. */
  async function arrange(still: number | null): Promise<void> {
    if (graph === null) return;
    const request = (requests += 1);
    const made = await makeScene(graph, tree, expanded, layouter, width);
    if (request !== requests) return;
    const [before, now] = [scene, made].map((each) => each?.layout.places[each.index.get(still ?? -1) ?? -1]);
    if (before !== undefined && now !== undefined) stage.hold([before.x, before.y], [now.x, now.y]);
    const isFirst = scene === null;
    scene = made;
    tip.hidden = true;
    stage.show(partsOf(made, tree, expanded), made.layout, chosen === null ? null : boxKey(chosen));
    if (isFirst) stage.fit(true);
    Object.assign(stage.element.dataset, { boxes: made.boxes.length, arranged: requests, threaded: layouter.threaded });
  }

  function showTip(target: EventTarget | null): void {
    const box = boxAt(target);
    const key = (target as Element).closest<SVGGElement>(".ds-link")?.dataset["link"];
    const link = scene?.links.find((each) => linkKey(each) === key);
    tip.hidden = scene === null || reading === null || (box === null && link === undefined);
    if (tip.hidden) return;
    tip.replaceChildren(...(box === null ? linkTip(link!, tree.boxes) : boxTip(box, reading!, tree.boxes, scene!.links)));
    placeTip(tip, target as Element, frame);
  }

  /** Gives the boxes that are drawn the look that the newest reading asks for. */
  function paint(): void {
    if (scene === null || reading === null || selection === null) return;
    for (const box of scene.boxes) {
      const part = stage.drawnPart(boxKey(box.id));
      if (part === null) continue;
      const match = search.current === box.id ? "current" : search.matches.has(box.id) ? "true" : "false";
      paintBox(part, box, reading, { open: expanded.has(box.id), layer: selection.layer, match });
    }
    table.show(scene.boxes, reading);
  }

  return {
    update(state, current) {
      selection = current;
      body.hidden = state.graph === null;
      none.hidden = state.graph !== null;
      if (state.graph === null) return;
      if (finder?.layers !== state.layers || state.graph !== graph) {
        finder = { layers: state.layers, of: layerFinder(state.graph, state.layers) };
      }
      reading = new Reading(state, selection.metric, selection.step, finder.of);
      metric.show(selection);
      colours.show(selection, reading.range);
      time.show(state, selection);
      if (state.graph === graph) return paint();
      graph = state.graph;
      tree = toTree(graph);
      expanded = expandedAtFirst(tree);
      [scene, chosen] = [null, null];
      note.hidden = graph.complete;
      setText(note, `The graph is not complete: ${graph.note}.`);
      search.renew(tree);
      void arrange(null);
    },
    remove() {
      layouter.close();
      stage.remove();
    },
  };
}
