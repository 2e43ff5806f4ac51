import { describe, expect, it } from "vitest";
import type { Cache } from "../src/graph_arrange";
import { overlap, place, type Rectangle, type Request } from "../src/graph_layout";
import { toTree } from "../src/graph_tree";
import { toVisible } from "../src/graph_visible";
import { nextIn } from "../src/graph_way";
import { graphOf, residual } from "./graph_models";

function request(graph: ReturnType<typeof residual>, expanded: Iterable<number>): Request {
  const tree = toTree(graph);
  const { boxes, links } = toVisible(graph, tree, new Set(expanded));
  return {
    boxes: boxes.map((id) => ({ id, parent: tree.boxes[id]!.parent, width: 80, height: 40 })),
    joints: links.map(({ source, target }) => ({ source, target, label: 60 })),
  };
}

const ALL = [0, 3, 4, 8];

function contains(outer: Rectangle, inner: Rectangle): boolean {
  return (
    outer.x <= inner.x && outer.y <= inner.y && outer.x + outer.width >= inner.x + inner.width && outer.y + outer.height >= inner.y + inner.height
  );
}

describe("the layout", () => {
  it("puts boxes into the box that they lie in, and beside each other", () => {
    const made = request(residual(), ALL);
    const { places, width, height } = place(made, new Map());
    made.boxes.forEach(({ id, parent }, i) => {
      const outer = parent === null ? { x: 0, y: 0, width, height } : places[made.boxes.findIndex((box) => box.id === parent)]!;
      expect(contains(outer, places[i]!)).toBe(true);
      made.boxes.forEach((other, j) => {
        if (other.id !== id && other.parent === parent) expect(overlap(places[i]!, places[j]!)).toBe(false);
      });
    });
  });

  it("lets tensors flow downwards, from the lower edge to the upper one", () => {
    const made = request(residual(), ALL);
    const { places, paths } = place(made, new Map());
    made.joints.forEach(({ source, target }, index) => {
      const [from, to] = [source, target].map((end) => places[made.boxes.findIndex(({ id }) => id === end)]!) as [Rectangle, Rectangle];
      const ys = paths[index]!.map(([, y]) => y);
      expect(ys[0]).toBe(from.y + from.height);
      expect(ys.at(-1)).toBe(to.y);
      expect(from.y).toBeLessThan(to.y);
    });
  });

  it("leads a tensor that skips boxes past them, also where these lie in another box", () => {
    const made = request(residual(), ALL);
    const { places, paths } = place(made, new Map());
    // From the embedding to the sum of the first block, past the two layers in it.
    const path = paths[made.joints.findIndex(({ source, target }) => source === 2 && target === 7)]!;
    const skipped = [5, 6].map((id) => places[made.boxes.findIndex((box) => box.id === id)]!);
    expect(path.length).toBeGreaterThan(2);
    for (const [x, y] of path) {
      for (const other of skipped) expect(overlap({ x, y, width: 0, height: 0 }, other)).toBe(false);
    }
    const lowest = Math.max(...path.slice(1, -1).map(([, y]) => y));
    expect(lowest).toBeGreaterThan(skipped[1]!.y);
  });

  it("writes no label over a box or over another label", () => {
    const made = request(residual(), ALL);
    const { places, labels } = place(made, new Map());
    const areas = labels.flatMap((at) => (at === null ? [] : [{ x: at[0] - 30, y: at[1] - 7, width: 60, height: 14 }]));
    expect(areas.length).toBeGreaterThan(5);
    const solid = places.filter((_, i) => !ALL.includes(made.boxes[i]!.id));
    areas.forEach((area, i) => {
      for (const other of [...solid, ...areas.slice(i + 1)]) expect(overlap(area, other)).toBe(false);
    });
  });

  it("lays out only the box that was expanded and those around it", () => {
    const cache: Cache = new Map();
    place(request(residual(), [0, 3, 4]), cache);
    const before = new Map([...cache].map(([id, { inside }]) => [id, inside]));
    place(request(residual(), ALL), cache);
    const same = [...cache].filter(([id, { inside }]) => before.get(id) === inside).map(([id]) => id);
    expect(same).toEqual([4]);
    expect([...cache.keys()].sort((a, b) => a - b)).toEqual([-1, 0, 3, 4, 8]);
  });

  it("takes thousands of boxes side by side", () => {
    const lines = Array.from({ length: 3000 }, (_, i): ["module", string, number] => ["module", `m${i}`, 0]);
    const { places, width, height } = place(request(graphOf([["module", "Net"], ...lines], [], false), [0]), new Map());
    expect(places).toHaveLength(3001);
    expect(width / height).toBeGreaterThan(0.5);
    expect(width / height).toBeLessThan(4);
  });
});

describe("the way from box to box", () => {
  const places = [
    { x: 0, y: 0, width: 10, height: 10 },
    { x: 0, y: 50, width: 10, height: 10 },
    { x: 40, y: 30, width: 10, height: 10 },
  ];
  it("leads to the nearest one in a direction, straight ahead first", () => {
    expect(nextIn(places, 0, [0, 1])).toBe(1);
    expect(nextIn(places, 0, [1, 0])).toBe(2);
    expect(nextIn(places, 2, [0, -1])).toBe(0);
    expect(nextIn(places, 0, [-1, 0])).toBe(-1);
  });
});
