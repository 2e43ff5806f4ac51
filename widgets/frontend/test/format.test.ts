import { describe, expect, it } from "vitest";
import { formatBytes, formatNumber, formatShare, layerLabel, shorten } from "../src/format";

describe("numbers", () => {
  it.each([
    [0, "0"],
    [0.1234567, "0.1235"],
    [-2.5, "−2.5"],
    [0.00012345, "1.23e−4"],
    [1234567, "1.23e6"],
    [NaN, "–"],
    [-Infinity, "−∞"],
  ])("%d reads %s", (value, text) => expect(formatNumber(value)).toBe(text));

  it("shares are percent", () => expect([0.031, 0.5, null].map(formatShare)).toEqual(["3.1 %", "50 %", "–"]));
  it("bytes have units", () => expect([12, 1605632, 3e9].map(formatBytes)).toEqual(["12 B", "1.61 MB", "3.00 GB"]));
  it("numbered layers say their type", () => {
    expect(["3", "net.3", "net.fc3"].map((name) => layerLabel({ name, type: "ReLU" }))).toEqual(["3 ReLU", "net.3 ReLU", "net.fc3"]);
  });
  it("long names keep their end", () => expect(shorten("model.layers.3.attention", 10)).toBe("…attention"));
});
