import { describe, expect, it } from "vitest";
import { rowsBySteps } from "../src/views/table";

describe("the table of a chart", () => {
  it("has the newest step first, and a gap where nothing was measured", () => {
    expect(rowsBySteps(Int32Array.of(0, 2, 1000), [Float32Array.of(1, 2, 3), Float32Array.of(4, 5)])).toEqual([
      ["1,000", 3, NaN],
      ["2", 2, 5],
      ["0", 1, 4],
    ]);
  });
});
