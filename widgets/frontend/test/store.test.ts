import { describe, expect, it } from "vitest";
import { decodeArrays } from "../src/decode";
import type { Increment, Snapshot } from "../src/generated/messages";
import { Store } from "../src/store";
import { seeded } from "./random";

const header = { state: "running", step: 3, observed: 3, steps_per_second: null, overhead: null, dropped: 0, scalar: null } as const;

function bytes(...arrays: (Float32Array | Int32Array)[]): DataView {
  const parts = arrays.flatMap((array) => [...new Uint8Array(array.buffer)]);
  return new DataView(Uint8Array.from([...parts]).buffer);
}

function snapshot(sequence: number, steps: number[], values: number[]): [Snapshot, DataView] {
  const message: Snapshot = {
    type: "snapshot",
    sequence,
    header,
    layers: [{ name: "a", type: "Linear" }],
    stride: 2,
    metrics: [{ name: "absmax", rows: [0] }],
    series: ["loss"],
    flow: [],
    layouts: [],
    findings: [],
    arrays: [
      { name: "steps", dtype: "int32", shape: [steps.length] },
      { name: "metric/absmax", dtype: "float32", shape: [1, values.length] },
    ],
  };
  return [message, bytes(Int32Array.from(steps), Float32Array.from(values))];
}

function increment(sequence: number, steps: number[], values: number[]): [Increment, DataView] {
  const [{ arrays }, payload] = snapshot(sequence, steps, values);
  return [{ type: "increment", sequence, header, layouts: [], findings: [], arrays }, payload];
}

const absmax = (store: Store) => [...(store.state?.metrics.get("absmax")?.values ?? [])];

describe("Store", () => {
  it("appends columns and replaces those that the increment starts with", () => {
    const store = new Store();
    store.receive(...snapshot(1, [0, 2], [1, 2]));
    store.receive(...increment(2, [2, 4], [5, 3]));
    expect([...store.state!.steps]).toEqual([0, 2, 4]);
    expect(absmax(store)).toEqual([1, 5, 3]);
    expect(store.updates).toBe(2);
  });

  it("waits for a snapshot after a gap", () => {
    const store = new Store();
    store.receive(...snapshot(1, [0], [1]));
    store.receive(...increment(3, [4], [3]));
    expect(absmax(store)).toEqual([1]);
    store.receive(...snapshot(4, [0, 2, 4], [1, 2, 3]));
    store.receive(...increment(5, [6], [4]));
    expect(absmax(store)).toEqual([1, 2, 3, 4]);
  });

  it("ignores increments before the first snapshot, and old snapshots", () => {
    const store = new Store();
    store.receive(...increment(2, [2], [2]));
    expect(store.state).toBeNull();
    store.receive(...snapshot(5, [0], [1]));
    store.receive(...snapshot(4, [0], [9]));
    expect(absmax(store)).toEqual([1]);
  });

  it("refuses messages that the schema does not know", () => {
    const store = new Store();
    const [message, payload] = snapshot(1, [0], [1]);
    store.receive({ ...message, html: "<b>" }, payload);
    store.receive({ ...message, arrays: [{ name: "__proto__", dtype: "float32", shape: [1] }] }, payload);
    store.receive("<script>", payload);
    expect(store.state).toBeNull();
  });

  it("refuses a payload that does not fit", () => {
    const [message, payload] = snapshot(1, [0], [1]);
    const short = new DataView(payload.buffer, 0, 4);
    expect(() => decodeArrays(message.arrays, short)).toThrow("needs 8 bytes, got 4");
    const store = new Store();
    store.receive(message, short);
    expect(store.state).toBeNull();
    expect(store.refused).toBe(1);
  });

  it("survives ten thousand damaged messages", () => {
    const store = new Store();
    const random = seeded(1);
    for (let i = 0; i < 10_000; i += 1) {
      const [message, payload] = i % 2 ? snapshot(i, [0, 2], [1, 2]) : increment(i, [2], [2]);
      const text = JSON.stringify(message);
      const at = Math.floor(random() * text.length);
      const broken = text.slice(0, at) + String.fromCharCode(32 + random() * 90) + text.slice(at + 1);
      let parsed: unknown;
      try {
        parsed = JSON.parse(broken);
      } catch {
        continue;
      }
      try {
        store.receive(parsed, payload);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }
    expect(store.state === null || store.state.steps.length <= 3).toBe(true);
  });
});
