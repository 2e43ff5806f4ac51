import { describe, expect, it } from "vitest";
import { colourRange, logTicks, toGrid } from "../src/grid";

const matrix = (rows: number[][]) => ({
  rows: rows.length,
  columns: rows[0]!.length,
  values: Float32Array.from(rows.flat()),
});

describe("toGrid", () => {
  it("keeps a measured value until it is measured again", () => {
    const grid = toGrid(matrix([[1, 2]]), Int32Array.of(0, 3), 1, "max");
    expect([...grid.values]).toEqual([1, 1, 1, 2]);
    expect([...grid.source]).toEqual([0, 0, 0, 1]);
    expect([grid.start, grid.span]).toEqual([0, 4]);
  });

  it("shows the worst where columns are closer than cells", () => {
    const steps = Int32Array.from({ length: 2 }, (_, i) => i).map((i) => i);
    const many = Int32Array.of(0, 1, 4000);
    const low = toGrid(matrix([[3, 1, 2]]), many, 1, "min");
    expect(low.values[0]).toBe(1);
    expect(low.columns).toBeLessThanOrEqual(1024);
    expect(toGrid(matrix([[3, 1]]), steps, 1, "max").columns).toBe(2);
  });

  it("leaves what was not measured empty", () => {
    const grid = toGrid(matrix([[NaN, 2], [Infinity, 1]]), Int32Array.of(0, 1), 1, "max");
    expect([...grid.values]).toEqual([NaN, 2, Infinity, 1]);
  });

  it("takes a run without steps", () => {
    expect(toGrid({ rows: 0, columns: 0, values: new Float32Array() }, new Int32Array(), 1, "max").columns).toBe(1);
  });
});

describe("scales", () => {
  it("span the finite values above zero", () => {
    expect(colourRange(Float32Array.of(0, NaN, Infinity, 0.5, 8), "log")).toEqual([0.5, 8]);
    expect(colourRange(Float32Array.of(NaN), "log")).toEqual([1e-3, 1]);
    expect(colourRange(Float32Array.of(0.2), "linear")).toEqual([0, 1]);
  });

  it("get round ticks, whatever they span", () => {
    expect(logTicks(0.02, 30)).toEqual([0.1, 1, 10]);
    expect(logTicks(2e-4, 9e-4)).toEqual([2e-4, 3e-4, 4e-4, 6e-4]);
    expect(logTicks(1, 1e12).length).toBeLessThanOrEqual(5);
    expect(logTicks(1.01, 1.02)).toEqual([1.01, 1.015, 1.02]);
    expect(logTicks(7.9e-5, 1.21e-4)).toEqual([8e-5, 1e-4, 1.2e-4]);
    expect(logTicks(2, 2)).toEqual([2]);
  });
});
