import { describe, expect, it } from "vitest";
import type { ModuleGraph } from "../src/graph";
import { ancestors, expandedAtFirst, toTree, within, type Tree } from "../src/graph_tree";
import { toVisible } from "../src/graph_visible";
import { graphOf, residual, reused } from "./graph_models";

const path = (tree: Tree, id: number) => [...ancestors(tree, id).reverse(), id].map((each) => tree.boxes[each]!.name).join("/");

function seen(graph: ModuleGraph, names: string[]) {
  const tree = toTree(graph);
  const expanded = new Set(tree.boxes.filter(({ id }) => names.includes(path(tree, id))).map(({ id }) => id));
  const { boxes, links } = toVisible(graph, tree, expanded);
  return {
    boxes: boxes.map((id) => path(tree, id)),
    links: links.map(({ source, target, count, bytes, layout, tied }) => {
      const dashed = tied ? "- " : "";
      return `${path(tree, source)} -> ${path(tree, target)} ${dashed}${count} ${bytes} ${layout?.dtype ?? "mixed"}`;
    }),
  };
}

describe("the boxes of a graph", () => {
  it("lie in the call that called them, and in lists of modules", () => {
    const tree = toTree(residual());
    expect(tree.boxes.map(({ id }) => path(tree, id))).toEqual([
      "Net",
      "Net/input.0",
      "Net/embed",
      "Net/blocks",
      "Net/blocks/0",
      "Net/blocks/0/first",
      "Net/blocks/0/second",
      "Net/blocks/0/add",
      "Net/blocks/1",
      "Net/blocks/1/first",
      "Net/blocks/1/second",
      "Net/blocks/1/add",
      "Net/linear",
      "Net/output",
    ]);
    expect(within(tree, 4)).toEqual([4, 5, 6, 7]);
  });

  it("tell the calls of a reused module apart", () => {
    const { boxes } = toTree(reused());
    expect(boxes.filter(({ name }) => name === "shared").map(({ node, calls }) => [node.call, calls])).toEqual([[0, 3], [1, 3], [2, 3]]);
  });

  it("are the tree of modules where nothing was called", () => {
    const graph = graphOf([["module", "Net"], ["module", "body", 0], ["module", "body.0", 1], ["module", "head", 0]], [], false);
    const tree = toTree(graph);
    expect(tree.boxes.map(({ id }) => path(tree, id))).toEqual(["Net", "Net/body", "Net/body/0", "Net/head"]);
  });

  it("lie in what called them, also where the module belongs to another one", () => {
    const graph = graphOf(
      [["module", "Net"], ["module", "a", 0], ["module", "a.own", 1], ["module", "b", 0], ["call", "Net", 0], ["call", "b", 3, 4], ["call", "a.own", 2, 5]],
      [],
    );
    const tree = toTree(graph);
    expect(tree.boxes.map(({ id }) => path(tree, id))).toEqual(["Net", "Net/b", "Net/b/a.own"]);
  });

  it("hold a module that is never called when its parameter is used", () => {
    const graph = graphOf(
      [["module", "Net"], ["module", "wte", 0], ["call", "Net", 0], ["function", "Net:linear", 0, 2]],
      [[1, 3]],
    );
    expect(seen(graph, ["Net"])).toEqual({
      boxes: ["Net", "Net/linear", "Net/wte"],
      links: ["Net/wte -> Net/linear - 1 32 float32"],
    });
  });

  it("are expanded level by level, all or none of what lies side by side, while they are few", () => {
    const tree = toTree(residual());
    expect([...expandedAtFirst(tree)].map((id) => path(tree, id))).toEqual(["Net", "Net/blocks", "Net/blocks/0", "Net/blocks/1"]);
    const wide = graphOf(
      [["module", "Net"], ...Array.from({ length: 16 }, (_, i): ["module", string, number] => ["module", `l${i}`, 0]),
        ...Array.from({ length: 16 }, (_, i): ["module", string, number] => ["module", `l${i}.x`, i + 1])],
      [],
      false,
    );
    expect([...expandedAtFirst(toTree(wide))]).toEqual([0]);
  });
});

describe("what is seen of a graph", () => {
  it("is everything when all is expanded", () => {
    expect(seen(residual(), ["Net", "Net/blocks", "Net/blocks/0", "Net/blocks/1"]).links).toEqual([
      "Net/input.0 -> Net/embed 1 32 float32",
      "Net/embed -> Net/blocks/0/first 1 32 float32",
      "Net/blocks/0/first -> Net/blocks/0/second 1 32 float32",
      "Net/embed -> Net/blocks/0/add 1 32 float32",
      "Net/blocks/0/second -> Net/blocks/0/add 1 32 float32",
      "Net/blocks/0/add -> Net/blocks/1/first 1 32 float32",
      "Net/blocks/1/first -> Net/blocks/1/second 1 32 float32",
      "Net/blocks/0/add -> Net/blocks/1/add 1 8 float16",
      "Net/blocks/1/second -> Net/blocks/1/add 1 32 float32",
      "Net/blocks/1/add -> Net/linear 1 32 float32",
      "Net/embed -> Net/linear - 1 32 float32",
      "Net/linear -> Net/output 1 32 float32",
    ]);
  });

  it("joins the edges of collapsed boxes, with their sum", () => {
    expect(seen(residual(), ["Net", "Net/blocks"])).toEqual({
      boxes: ["Net", "Net/input.0", "Net/embed", "Net/blocks", "Net/blocks/0", "Net/blocks/1", "Net/linear", "Net/output"],
      links: [
        "Net/input.0 -> Net/embed 1 32 float32",
        "Net/embed -> Net/blocks/0 2 64 float32",
        "Net/blocks/0 -> Net/blocks/1 2 40 mixed",
        "Net/blocks/1 -> Net/linear 1 32 float32",
        "Net/embed -> Net/linear - 1 32 float32",
        "Net/linear -> Net/output 1 32 float32",
      ],
    });
  });

  it("hides what is inside of a collapsed box, however it is expanded itself", () => {
    expect(seen(residual(), ["Net", "Net/blocks/0"]).boxes).toEqual(["Net", "Net/input.0", "Net/embed", "Net/blocks", "Net/linear", "Net/output"]);
    expect(seen(residual(), [])).toEqual({ boxes: ["Net"], links: [] });
  });
});
