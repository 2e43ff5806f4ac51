// Explanations that do not fit what they say of themselves are refused; what fits is read as it was sent.
import { describe, expect, it } from "vitest";
import { type Attention, type Attribution, featureCount, featureLabel, featureOf, readExplanation, tokenText, weightOf } from "../src/explanation";

type Json = Record<string, unknown>;

function array(name: string, rows: number, columns: number, dtype = "float32"): Json {
  return { name, dtype, shape: [rows, columns] };
}

function floats(...numbers: number[]): DataView {
  return new DataView(Float32Array.from(numbers).buffer);
}

const INPUT = { name: "x", unit: "feature", features: ["a", "b"], shown: [], height: 0, width: 0 };

function attribution(change: Json = {}): Json {
  return {
    type: "attribution",
    method: "exact",
    target: "output 0",
    background: "zeros",
    first: 0,
    rows: 1,
    outputs: ["output 0"],
    inputs: [INPUT],
    evaluations: 4,
    seconds: 0.1,
    notes: [],
    arrays: [array("base", 1, 1), array("reached", 1, 1), array("gap", 1, 1), array("values/0", 1, 2), array("data/0", 1, 2)],
    ...change,
  };
}

const NUMBERS = floats(0, 3, 0, 1, 2, 5, 6);

const MAP = { name: "look", kind: "self", heads: [0], queries: [0, 1], looking: 0, seen: 0, patches: null };

function attention(change: Json = {}): Json {
  return {
    type: "attention",
    model: "Net",
    first: 0,
    rows: 1,
    most: 0.5,
    deviation: 0,
    maps: [MAP],
    scores: [],
    sequences: [{ texts: [["the", "cat"]] }],
    height: 0,
    width: 0,
    notes: [],
    arrays: [array("weights/0", 2, 2, "uint8")],
    ...change,
  };
}

const BYTES = new DataView(Uint8Array.of(255, 0, 51, 102).buffer);

describe("an attribution", () => {
  it("is read as it was sent", () => {
    const { inputs } = readExplanation(attribution(), NUMBERS) as Attribution;
    expect([...inputs[0]!.values.values]).toEqual([1, 2]);
    expect(featureLabel(inputs[0]!, 0, 1)).toBe("b = 6");
    expect(featureCount(inputs[0]!, 0)).toBe(2);
  });

  it("has as many words as its row", () => {
    const words = { ...INPUT, features: [], shown: [["great"]] };
    const { inputs } = readExplanation(attribution({ inputs: [words] }), NUMBERS) as Attribution;
    expect(featureCount(inputs[0]!, 0)).toBe(1);
    expect(featureLabel(inputs[0]!, 0, 0)).toBe("great");
  });

  it("tells which group a pixel belongs to", () => {
    const picture = { ...INPUT, unit: "group", height: 1, width: 3 };
    const arrays = [array("base", 1, 1), array("reached", 1, 1), array("gap", 1, 1), array("values/0", 1, 2), array("data/0", 1, 3), array("cells/0", 1, 3)];
    const { inputs } = readExplanation(attribution({ inputs: [picture], arrays }), floats(0, 3, 0, 1, 2, 7, 8, 9, 1, -1, 0)) as Attribution;
    expect([0, 1, 2].map((pixel) => featureOf(inputs[0]!, 0, pixel))).toEqual([1, -1, 0]);
  });

  it.each([
    ["a missing array", { arrays: [array("base", 1, 1)] }],
    ["rows that are not there", { rows: 2 }],
    ["outputs that are not there", { outputs: ["a", "b"] }],
    ["pixels that are not there", { inputs: [{ ...INPUT, unit: "pixel", height: 3, width: 3 }] }],
    ["an unknown field", { more: 1 }],
    ["an input of no kind", { inputs: [{ ...INPUT, unit: "word" }] }],
    ["arrays beyond the payload", { arrays: [array("values/0", 100, 100)] }],
  ])("with %s is refused", (_, change) => {
    expect(() => readExplanation(attribution(change), NUMBERS)).toThrow();
  });
});

describe("attention", () => {
  it("is read as it was sent", () => {
    const read = readExplanation(attention(), BYTES) as Attention;
    expect([...read.maps[0]!.weights.values]).toEqual([255, 0, 51, 102]);
    expect(weightOf(read, 255)).toBe(0.5);
    expect(weightOf(read, 51)).toBeCloseTo(0.02);
    expect(tokenText(read, 0, 0, 1)).toBe("cat");
    expect(tokenText(read, -1, 0, 1)).toBe("1");
  });

  it.each([
    ["heads that are not there", { maps: [{ ...MAP, heads: [0, 1] }] }],
    ["queries that are not there", { maps: [{ ...MAP, queries: [0, 1, 2] }] }],
    ["patches that are not there", { maps: [{ ...MAP, patches: { rows: 3, columns: 3 } }] }],
    ["pictures that are not there", { height: 2, width: 2 }],
    ["no maps", { maps: [] }],
    ["scores that are not there", { scores: [{ method: "rollout", verdict: "", tokens: 0, patches: null }] }],
  ])("with %s is refused", (_, change) => {
    expect(() => readExplanation(attention(change), BYTES)).toThrow();
  });
});

it.each([[null], [3], ["attribution"], [[]], [{ type: "snapshot" }]])("%j is no explanation", (message) => {
  expect(() => readExplanation(message, NUMBERS)).toThrow();
});
