import { describe, expect, it } from "vitest";
import { toTree } from "../src/graph_tree";
import { columnAt, foundLayers, layerFinder, shareOf, valuesAt, worstOf } from "../src/graph_values";
import { residual } from "./graph_models";

const LAYERS = ["embed", "blocks.0.first", "blocks.0.second", "blocks.0:add", "blocks.1.first"].map((name) => ({ name, type: "t" }));

describe("the layers of a box", () => {
  const graph = residual();
  const layersOf = layerFinder(graph, LAYERS);
  const { boxes } = toTree(graph);
  const named = (site: string) => layersOf(boxes.find(({ node }) => node.site === site)!);

  it("are its own and those inside", () => {
    expect(named("embed")).toEqual({ own: 0, all: new Set([0]) });
    expect(named("blocks.0")).toEqual({ own: null, all: new Set([1, 2, 3]) });
    expect(named("blocks")).toEqual({ own: null, all: new Set([1, 2, 3, 4]) });
    expect(named("blocks.0:add")).toEqual({ own: 3, all: new Set([3]) });
    expect(named("Net").all.size).toBe(5);
    expect(named("input.0")).toEqual({ own: null, all: new Set() });
  });
});

describe("values at a step", () => {
  const steps = Int32Array.of(0, 10, 20);
  const matrix = { rows: 2, columns: 3, values: Float32Array.of(1, NaN, 3, NaN, 5, Infinity) };

  it("are those of the last step that was recorded by then", () => {
    expect([null, 0, 9, 10, 25].map((step) => columnAt(steps, step))).toEqual([2, 0, 0, 1, 2]);
    expect(columnAt(new Int32Array(), null)).toBe(-1);
  });

  it("stay until there are new ones", () => {
    expect([...valuesAt(matrix, [7, 4], 1)]).toEqual([[7, 1], [4, 5]]);
    expect([...valuesAt(matrix, [7, 4], 0)]).toEqual([[7, 1]]);
    expect([...valuesAt(matrix, [7, 4], -1)]).toEqual([]);
  });

  it("give a collapsed box its worst, and what is not finite is worse than all", () => {
    const values = new Map([[0, 0.5], [1, 0.1], [2, 9]]);
    expect(worstOf([0, 1, 2, 3], values, "max")).toBe(2);
    expect(worstOf([0, 1, 2, 3], values, "min")).toBe(1);
    expect(worstOf([3], values, "max")).toBeNull();
    expect(worstOf([0, 1, 2], values.set(2, Infinity), "min")).toBe(2);
  });

  it("have their place on the colour scale", () => {
    expect(shareOf(0.1, [0.01, 1], "log")).toBeCloseTo(0.5);
    expect(shareOf(0.25, [0, 1], "linear")).toBe(0.25);
    expect([shareOf(0, [0.01, 1], "log"), shareOf(7, [0.01, 1], "log"), shareOf(1, [1, 1], "log")]).toEqual([0, 1, 1]);
  });
});

describe("findings", () => {
  it("belong to the layer of their site or of its parameter", () => {
    const finding = { rule: "r", severity: "error" as const, step: 0, message: "", evidence: [], cause: "", fix: "" };
    const found = ["blocks.0.first.weight", "embed", "nowhere"].map((site) => ({ ...finding, site }));
    expect(foundLayers(found, LAYERS)).toEqual(new Set([1, 0]));
  });
});
