import { describe, expect, it } from "vitest";
import { compareColumns, firstChanged, measuredColumns, mostChanged, nearestColumn } from "../src/compare";
import type { MetricInfo } from "../src/generated/messages";
import type { State } from "../src/store";

const matrix = (rows: number[][]) => ({ rows: rows.length, columns: rows[0]!.length, values: Float32Array.from(rows.flat()) });

const metric = (scale: MetricInfo["scale"]) => ({ name: "m", title: "m", scale, worst: "max", description: "" }) as MetricInfo;

/** A run in which layers 1, 2, ... have the metric. */
function compared(scale: MetricInfo["scale"], rows: number[][], a = 0, b = 1) {
  const state = {
    rows: new Map([["m", rows.map((_, row) => row + 1)]]),
    metrics: new Map([["m", matrix(rows)]]),
  } as unknown as State;
  return compareColumns(state, metric(scale), a, b);
}

describe("two columns of a metric", () => {
  it("differ by the logarithm of their ratio on a log scale", () => {
    const layers = compared("log", [[1, 100], [4, 0.5], [3, 3]]);
    expect(layers.map(({ layer }) => layer)).toEqual([1, 2, 3]);
    expect(layers.map(({ change }) => change)).toEqual([2, Math.log10(1 / 8), 0]);
    expect(layers[0]).toMatchObject({ a: 1, b: 100 });
  });

  it("differ by their distance on a linear scale", () => {
    expect(compared("linear", [[0.75, 0.25], [0, 0.5]]).map(({ change }) => change)).toEqual([-0.5, 0.5]);
  });

  it("are infinitely far apart where one alone is zero or not finite", () => {
    const all = [[0, 1], [1, 0], [1, Infinity], [Infinity, 1]];
    expect(compared("log", all).map(({ change }) => change)).toEqual([Infinity, -Infinity, Infinity, -Infinity]);
    expect(compared("log", [[0, 0], [Infinity, Infinity]]).map(({ change }) => change)).toEqual([0, 0]);
    expect(compared("linear", [[0.5, Infinity]]).map(({ change }) => change)).toEqual([Infinity]);
  });

  it("tell nothing of a layer that one of them lacks", () => {
    const layers = compared("log", [[NaN, 1], [1, NaN], [NaN, NaN], [1, 8]]);
    expect(layers.slice(0, 3).map(({ change }) => change)).toEqual([NaN, NaN, NaN]);
    expect(mostChanged(layers)?.layer).toBe(4);
    expect(firstChanged(layers, "log")?.layer).toBe(4);
  });

  it("can be any two, in any order", () => {
    expect(compared("linear", [[0, 0.25, 1]], 2, 1).map(({ change }) => change)).toEqual([-0.75]);
  });
});

describe("the layers that stand out", () => {
  it("are the one that changed most and the first one beyond the threshold", () => {
    const layers = compared("log", [[1, 1.9], [1, 0.4], [1, 10]]);
    expect(mostChanged(layers)?.layer).toBe(3);
    expect(firstChanged(layers, "log")?.layer).toBe(2);
    expect(firstChanged(compared("linear", [[0.5, 0.45], [0.5, 0.3]]), "linear")?.layer).toBe(2);
  });

  it("count what is no longer finite most", () => {
    expect(mostChanged(compared("log", [[1, 1e9], [1, Infinity], [1, 1e12]]))?.layer).toBe(2);
  });

  it("are none where nothing changed", () => {
    const layers = compared("log", [[1, 1], [NaN, 2]]);
    expect([mostChanged(layers), firstChanged(layers, "log")]).toEqual([null, null]);
    expect(mostChanged([])).toBeNull();
  });
});

describe("the steps to choose from", () => {
  it("are those in which any layer was measured", () => {
    expect(measuredColumns(matrix([[1, NaN, NaN, 2], [NaN, NaN, 3, 4]]))).toEqual([0, 2, 3]);
    expect(measuredColumns({ rows: 0, columns: 0, values: new Float32Array() })).toEqual([]);
  });

  it("hold one that is nearest to any number", () => {
    const steps = Int32Array.of(0, 10, 20, 30);
    const nearest = (step: number) => nearestColumn([0, 2, 3], steps, step);
    expect([-5, 9, 10, 11, 24, 25, 26, 999].map(nearest)).toEqual([0, 0, 0, 2, 2, 2, 3, 3]);
  });
});
