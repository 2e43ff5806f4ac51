import { describe, expect, it } from "vitest";
import { FORMATS } from "../src/detail";
import type { Detail } from "../src/generated/messages";
import { Store } from "../src/store";

const header = { state: "running", step: 3, observed: 3, steps_per_second: null, overhead: null, dropped: 0, scalar: null } as const;
const info = { kind: "parameter", tensor: "weight", dtype: "float32", numel: 4, zeros: 1, nonfinite: 0, low: -1, high: 1 } as const;

/** A layer with one histogram, three units and a picture of two by two. */
function message(change: Partial<Detail> = {}): [Detail, DataView] {
  const detail: Detail = {
    type: "detail",
    site: "fc",
    layer_type: "Linear",
    step: 7,
    watched: true,
    calls: 1,
    note: "",
    forward_ms: 0.5,
    backward_ms: null,
    output_bytes: 16,
    parameter_bytes: 16,
    gradient_bytes: 0,
    histograms: [info],
    first_exponent: -3,
    units: { of: "activation", samples: 5 },
    picture: { kind: "matrix", tensor: "weight", caption: "all of it" },
    arrays: [
      { name: "counts", dtype: "int32", shape: [1, 64] },
      { name: "exponents", dtype: "int32", shape: [1, 2] },
      { name: "formats", dtype: "int32", shape: [1, 12] },
      { name: "units", dtype: "int32", shape: [2, 3] },
      { name: "picture", dtype: "float32", shape: [2, 2] },
    ],
    ...change,
  };
  const counts = Array.from({ length: 64 }, (_, index) => (index === 5 ? 4 : 0));
  const whole = Int32Array.from([...counts, 1, 2, ...Array.from({ length: 12 }, (_, index) => index), 0, 5, 2, 1, 0, 0]);
  const picture = Float32Array.of(0.5, -0.5, NaN, 1);
  return [detail, new DataView(Uint8Array.of(...new Uint8Array(whole.buffer), ...new Uint8Array(picture.buffer)).buffer)];
}

function store(): Store {
  const made = new Store();
  const nothing = { layers: [], stride: 1, metrics: [], series: [], flow: [], layouts: [], findings: [], arrays: [] };
  made.receive({ type: "snapshot", sequence: 1, header, ...nothing }, new DataView(new ArrayBuffer(0)));
  return made;
}

describe("a closer look at a layer", () => {
  it("is taken apart", () => {
    const held = store();
    held.receive(...message());
    const found = held.state!.details.get("fc")!;
    expect(found.histograms[0]!.counts[5]).toBe(4);
    expect(found.histograms[0]!.exponents).toEqual([1, 2]);
    expect(found.histograms[0]!.losses[1]).toEqual({ underflow: 3, subnormal: 4, overflow: 5 });
    expect(found.histograms[0]!.losses).toHaveLength(FORMATS.length);
    expect(found.units).toEqual({ of: "activation", samples: 5, active: [0, 5, 2], saturated: [1, 0, 0] });
    expect([...found.picture!.values.values]).toEqual([0.5, -0.5, NaN, 1]);
  });

  it("replaces the one before of the same layer, and survives a snapshot", () => {
    const held = store();
    held.receive(...message());
    held.receive(...message({ step: 8 }));
    held.receive({ ...held.state!, type: "snapshot", sequence: 2, metrics: [], series: [], arrays: [], rows: undefined }, new DataView(new ArrayBuffer(0)));
    expect([...held.state!.details.values()].map(({ step }) => step)).toEqual([8]);
  });

  it("is kept of sixty-four layers at most, the newest", () => {
    const held = store();
    for (let index = 0; index < 70; index += 1) held.receive(...message({ site: `fc${index}` }));
    expect(held.state!.details.size).toBe(64);
    expect(held.state!.details.has("fc69")).toBe(true);
    expect(held.state!.details.has("fc0")).toBe(false);
  });

  it("is refused where its arrays do not fit", () => {
    const held = store();
    held.receive(...message({ histograms: [info, info] }));
    held.receive(...message({ units: null, picture: null, arrays: [] }));
    held.receive(message()[0], new DataView(new ArrayBuffer(4)));
    expect(held.refused).toBe(3);
    expect(held.state!.details.size).toBe(0);
  });
});
