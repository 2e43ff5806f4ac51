import { describe, expect, it } from "vitest";
import { formatBytes, formatNumber, formatShare, layerLabel, shorten, tickLabels } from "../src/format";
import { logTicks } from "../src/grid";

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

  it.each([
    [[0.1, 1, 10], ["0.1", "1", "10"]],
    [[0.003, 0.0031, 0.0032], ["0.003", "0.0031", "0.0032"]],
    [[1.01, 1.015, 1.02], ["1.01", "1.015", "1.02"]],
    [[8e-5, 1e-4, 1.2e-4], ["8.0e−5", "1.0e−4", "1.2e−4"]],
    [[1e-6, 1e-3, 1], ["1e−6", "0.001", "1"]],
    [[2], ["2"]],
    [[], []],
  ])("ticks at %j read %j", (ticks, labels) => expect(tickLabels(ticks)).toEqual(labels));

  it("no two ticks of a scale read alike, however narrow it is", () => {
    for (let low = 1e-7; low < 1e7; low *= 3.7) {
      for (const factor of [1.0005, 1.01, 1.3, 3, 40, 1e6]) {
        const labels = tickLabels(logTicks(low, low * factor));
        expect(new Set(labels).size).toBe(labels.length);
      }
    }
  });

  it("shares are percent", () => expect([0.031, 0.5, null].map(formatShare)).toEqual(["3.1 %", "50 %", "–"]));
  it("bytes have units", () => expect([12, 1605632, 3e9].map(formatBytes)).toEqual(["12 B", "1.61 MB", "3.00 GB"]));
  it("numbered layers say their type", () => {
    expect(["3", "net.3", "net.fc3"].map((name) => layerLabel({ name, type: "ReLU" }))).toEqual(["3 ReLU", "net.3 ReLU", "net.fc3"]);
  });
  it("long names keep their end", () => expect(shorten("model.layers.3.attention", 10)).toBe("…attention"));
});
