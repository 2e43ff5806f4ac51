import { describe, expect, it } from "vitest";
import type { Snapshot } from "../src/generated/messages";
import { Store } from "../src/store";
import { seeded } from "./random";

const header = { state: "running", step: 3, observed: 3, steps_per_second: null, overhead: null, dropped: 0, scalar: null } as const;
const revision = { epoch: 0, policy: "half", half: "float16", loss_scale: 1024, skipped: 2 };

/** Two layers and two revisions; the second layer is decided on in the second one only. */
function message(change: object = {}): [Snapshot, DataView] {
  const snapshot: Snapshot = {
    type: "snapshot",
    sequence: 1,
    header,
    layers: [{ name: "gate", type: "SparseGate" }],
    stride: 1,
    metrics: [],
    series: [],
    flow: [],
    layouts: [],
    findings: [],
    gates: [{ layer: 0, samples: 300, blocks: 2, open: [1, 0.5], constant: false }],
    precision: {
      layers: ["a", "b"],
      texts: ["float16", "float32", "why", "input", ""],
      earlier: 3,
      skipped_before: 1,
      revisions: [{ ...revision, step: 0 }, { ...revision, step: 9 }],
    },
    arrays: [
      { name: "decisions", dtype: "int32", shape: [9, 3] },
      { name: "evidence", dtype: "float32", shape: [6, 3] },
    ],
    ...change,
  };
  // By column: revision, layer, harm, dtype, reason, and the tensors of the four shares.
  const columns = [[0, 0, 1, 0, 2, 4, 4, 3, 3], [1, 0, 0, 1, 2, 4, 4, 3, 3], [1, 1, 0, 0, 2, 4, 4, 3, 3]];
  const places = Int32Array.from({ length: 27 }, (_, index) => columns[index % 3]![Math.floor(index / 3)]!);
  const evidence = Float32Array.from({ length: 18 }, (_, index) => index);
  return [snapshot, new DataView(Uint8Array.of(...new Uint8Array(places.buffer), ...new Uint8Array(evidence.buffer)).buffer)];
}

function held(change: object = {}, alter: (payload: DataView) => void = () => {}): Store {
  const store = new Store();
  const [snapshot, payload] = message(change);
  alter(payload);
  store.receive(snapshot, payload);
  return store;
}

describe("decisions on precision", () => {
  it("are taken apart by layer and revision", () => {
    const found = held().state!.precision!;
    expect(found.decisions.map((row) => row.map((each) => each?.dtype))).toEqual([["float16", "float32"], [undefined, "float16"]]);
    expect(found.decisions[0]![0]).toEqual({
      dtype: "float16",
      reason: "why",
      harmful: true,
      numel: 0,
      gradientNorm: 3,
      underflow: { share: 6, of: "" },
      subnormal: { share: 9, of: "" },
      overflow: { share: 12, of: "input" },
      noise: { share: 15, of: "input" },
    });
    expect([found.earlier, found.skippedBefore, found.revisions[1]!.step]).toEqual([3, 1, 9]);
  });

  it("stay when an increment follows", () => {
    const store = held();
    store.receive({ type: "increment", sequence: 2, header, layouts: [], findings: [], arrays: [] }, new DataView(new ArrayBuffer(0)));
    expect(store.state!.precision!.layers).toEqual(["a", "b"]);
    expect(store.state!.gates).toHaveLength(1);
  });

  it("are refused where they name what does not exist", () => {
    for (let place = 0; place < 27; place += 1) {
      for (const wrong of [-1, 5]) {
        expect(held({}, (payload) => payload.setInt32(4 * place, wrong, true)).state).toBeNull();
      }
    }
    expect(held({ gates: [{ layer: 1, samples: 1, blocks: 1, open: [1], constant: false }] }).state).toBeNull();
  });

  it("are refused without their arrays", () => {
    const store = new Store();
    store.receive(message({ arrays: [] })[0], new DataView(new ArrayBuffer(0)));
    expect(store.refused).toBe(1);
  });

  it("never leave a state that cannot be drawn, two thousand times", () => {
    const random = seeded(3);
    let taken = 0;
    for (let i = 0; i < 2000; i += 1) {
      const { state } = held({}, (payload) => payload.setUint8(Math.floor(random() * payload.byteLength), Math.floor(random() * 6)));
      if (state === null) continue;
      taken += 1;
      const { decisions, layers, revisions } = state.precision!;
      expect(decisions).toHaveLength(layers.length);
      expect(decisions.every((row) => row.length === revisions.length)).toBe(true);
      expect(decisions.flat().every((each) => each === undefined || typeof each.reason === "string")).toBe(true);
    }
    expect(taken).toBeGreaterThan(100);
  });
});
