// Search among the boxes of a graph.
import { h, setText } from "../dom";
import type { Tree } from "../graph_tree";

export interface Search {
  element: HTMLElement;
  matches: ReadonlySet<number>;
  /** The match that was gone to last. */
  current: number | null;
  /** Looks again, in another tree. */
  renew(tree: Tree): void;
}

/** `go` is called with a box to show, `changed` when other boxes match. */
export function graphSearch(go: (box: number) => void, changed: () => void): Search {
  const input = h("input", { type: "search", placeholder: "Search name or class", "aria-label": "search the graph", "data-testid": "graph-search" });
  input.title = "Enter: next match, Shift+Enter: previous one";
  const count = h("span", { class: "ds-note", "data-testid": "graph-matches", "aria-live": "polite" });
  let tree: Tree = { boxes: [], boxOf: new Map() };
  let found: number[] = [];

  function look(): void {
    const text = input.value.trim().toLowerCase();
    const fits = (name: string) => name.toLowerCase().includes(text);
    found = text === "" ? [] : tree.boxes.filter(({ node }) => fits(node.site) || fits(node.type)).map(({ id }) => id);
    search.matches = new Set(found);
    search.current = null;
    tell();
    changed();
  }
  function tell(): void {
    const place = search.current === null ? "" : `${found.indexOf(search.current) + 1} of `;
    setText(count, input.value.trim() === "" ? "" : found.length === 0 ? "no match" : `${place}${found.length}`);
  }
  input.addEventListener("input", look);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || found.length === 0) return;
    event.preventDefault();
    const at = search.current === null ? -1 : found.indexOf(search.current);
    const next = event.shiftKey ? (at <= 0 ? found.length - 1 : at - 1) : (at + 1) % found.length;
    search.current = found[next]!;
    tell();
    go(search.current);
  });
  const search: Search = {
    element: h("span", { class: "ds-graph-search" }, input, count),
    matches: new Set(),
    current: null,
    renew(next) {
      tree = next;
      look();
    },
  };
  return search;
}
