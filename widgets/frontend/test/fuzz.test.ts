// Messages that are wrong in every way that JSON allows: none may throw, none may spoil the picture.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { inconsistency } from "../src/consistent";
import { type State, Store } from "../src/store";
import widget from "../src/widget";
import { seeded } from "./random";

type Json = unknown;

const HEADER = { state: "running", step: 3, observed: 3, steps_per_second: null, overhead: null, dropped: 0, scalar: null };
const FINDING = { rule: "r", severity: "error", site: "a", step: 1, message: "m", evidence: [{ name: "n", value: "v" }], cause: "c", fix: "f" };
const ARRAYS = [
  { name: "steps", dtype: "int32", shape: [2] },
  { name: "metric/absmax", dtype: "float32", shape: [1, 2] },
  { name: "scalar/0", dtype: "float32", shape: [4, 2] },
  { name: "flow_layouts", dtype: "int32", shape: [1] },
  { name: "flow", dtype: "float32", shape: [1, 7] },
];

function snapshot(sequence: number): Record<string, Json> {
  return {
    type: "snapshot",
    sequence,
    header: HEADER,
    layers: [{ name: "a", type: "Linear" }],
    stride: 2,
    metrics: [{ name: "absmax", rows: [0] }],
    series: ["loss"],
    flow: [{ site: "a", type: "Linear", layer: 0 }],
    layouts: [{ dtype: "float32", shape: [2], bytes: 8 }],
    findings: [FINDING],
    arrays: ARRAYS,
  };
}

function increment(sequence: number): Record<string, Json> {
  return { type: "increment", sequence, header: HEADER, layouts: [], findings: [FINDING], arrays: ARRAYS };
}

const LAYOUT = { dtype: "float32", shape: [2], bytes: 8 };

function graph(): Record<string, Json> {
  const arrays = [
    { name: "nodes", dtype: "int32", shape: [7, 3] },
    { name: "edges", dtype: "int32", shape: [3, 1] },
  ];
  return { type: "graph", complete: true, note: "", texts: ["", "a", "Linear"], layouts: [LAYOUT], arrays };
}

/** A module, its input and its call; the values stand by row. */
const GRAPH = [0, 3, 1, -1, -1, 0, -1, -1, -1, 0, 0, 0, 1, 1, 1, 2, 2, 2, -1, 0, 0, 1, 2, 0];

function detail(): Record<string, Json> {
  const histogram = { kind: "parameter", tensor: "weight", dtype: "float32", numel: 4, zeros: 0, nonfinite: 0, low: -1, high: 1 };
  return {
    type: "detail",
    site: "a",
    layer_type: "Linear",
    step: 3,
    watched: false,
    calls: 1,
    note: "",
    forward_ms: 0.1,
    backward_ms: null,
    output_bytes: 8,
    parameter_bytes: 8,
    gradient_bytes: 8,
    histograms: [histogram],
    first_exponent: -3,
    units: { of: "activation", samples: 2 },
    picture: { kind: "matrix", tensor: "weight", caption: "" },
    arrays: [
      { name: "counts", dtype: "int32", shape: [1, 64] },
      { name: "exponents", dtype: "int32", shape: [1, 4] },
      { name: "formats", dtype: "int32", shape: [1, 12] },
      { name: "units", dtype: "float32", shape: [2, 2] },
      { name: "picture", dtype: "float32", shape: [2, 2] },
    ],
  };
}

function integers(numbers: number[]): DataView {
  return new DataView(Int32Array.from(numbers).buffer);
}

/** What of a graph or a closer look the views could not draw. */
function undrawable({ graph, details }: State): string[] {
  const nodes = graph?.nodes ?? [];
  const within = (id: number | null, limit: number) => id === null || (Number.isInteger(id) && id >= 0 && id < limit);
  return [
    ...nodes.filter(({ id, parent, caller }) => !within(parent, id) || !within(caller, id)).map(({ id }) => `node ${id}`),
    ...(graph?.edges ?? []).filter(({ source, target }) => !within(source, target) || !within(target, nodes.length)).map(() => "edge"),
    ...[...details.values()].flatMap(({ histograms }) => histograms.filter(({ counts }) => counts.length !== 64).map(() => "histogram")),
  ];
}

function payload(first = 4): DataView {
  const numbers = [0, 0, 1, 2, first, first + 2, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0];
  const view = new DataView(new ArrayBuffer(4 * numbers.length));
  numbers.forEach((value, index) => view.setFloat32(4 * index, value, true));
  view.setInt32(0, first, true);
  view.setInt32(4, first + 2, true);
  view.setInt32(48, 0, true);
  return view;
}

const ODD: Json[] = [
  null, true, -1, 0.5, 1e300, 2 ** 53, "", "__proto__", "snapshot", "x".repeat(5000), "\ud800", [], {}, [[[[[]]]]], [null],
  JSON.parse('{"__proto__": {"polluted": true}}'), JSON.parse('{"constructor": {"prototype": {"polluted": true}}}'),
  NaN, Infinity, undefined, new Array(9000).fill(0), new Array(9000).fill({}), deep(500),
];
const KEYS = ["__proto__", "constructor", "html", "script", "arrays", "sequence", "rows", "shape", "toString"];

function deep(levels: number): Json {
  return levels === 0 ? [] : { a: deep(levels - 1) };
}

/** Changes one place of a message, at any depth: another value, a missing key, one too many, one twice. */
function mutate(message: Json, random: () => number): Json {
  const copy = structuredClone(message);
  const places: [Record<string, Json>, string][] = [];
  const visit = (node: Json) => {
    if (node === null || typeof node !== "object") return;
    for (const key of Object.keys(node)) {
      places.push([node as Record<string, Json>, key]);
      visit((node as Record<string, Json>)[key]);
    }
  };
  visit(copy);
  const pick = <T>(list: T[]): T => list[Math.floor(random() * list.length)]!;
  const [node, key] = pick(places);
  const kind = random();
  if (kind < 0.45) node[key] = pick(ODD);
  else if (kind < 0.6) delete node[key];
  else if (kind < 0.75) Object.defineProperty(node, pick(KEYS), { value: pick(ODD), enumerable: true, configurable: true, writable: true });
  else if (kind < 0.9) node[key] = Math.floor(random() * 10);
  else if (Array.isArray(node)) node.push(node[0]);
  return random() < 0.3 ? mutate(copy, random) : copy;
}

function brokenPayload(random: () => number): DataView {
  const whole = payload(Math.floor(random() * 12) - 2);
  if (random() < 0.6) return whole;
  if (random() < 0.5) return new DataView(whole.buffer, 0, Math.floor(random() * whole.byteLength));
  for (let i = 0; i < 8; i += 1) whole.setUint8(Math.floor(random() * whole.byteLength), Math.floor(random() * 256));
  return whole;
}


const warn = vi.spyOn(console, "warn");
beforeEach(() => void warn.mockReset());
afterEach(() => {
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  expect(warn.mock.calls.length).toBeLessThanOrEqual(1);
});

describe("messages", () => {
  it("are taken when they are whole", () => {
    const store = new Store();
    store.receive(snapshot(1), payload(0));
    store.receive(increment(2), payload(4));
    expect([...store.state!.steps]).toEqual([0, 2, 4, 6]);
    expect(store.refused).toBe(0);
  });

  it("never throw and never leave a state that the views cannot draw, ten thousand times", () => {
    const random = seeded(7);
    const store = new Store();
    let taken = 0;
    for (let i = 0; i < 10_000; i += 1) {
      if (i % 40 === 0) store.state = null;
      if (store.state === null) store.receive(snapshot(i), payload(0));
      const next = store.state!.sequence + 1;
      const before = store.state;
      const updates = store.updates;
      store.receive(mutate(i % 3 ? increment(next) : snapshot(next), random), brokenPayload(random));
      expect(inconsistency(store.state!)).toBeNull();
      if (store.updates === updates) expect(store.state).toBe(before);
      else taken += 1;
    }
    expect(store.refused).toBeGreaterThan(5000);
    expect(taken).toBeGreaterThan(100);
  });

  it.each([
    ["a graph", graph, () => integers(GRAPH)],
    ["a closer look", detail, () => integers(new Array(88).fill(1))],
  ])("about %s never leave a state that the views cannot draw, ten thousand times", (_, whole, body) => {
    const random = seeded(11);
    const store = new Store();
    store.receive(snapshot(1), payload(0));
    store.receive(whole(), body());
    expect(store.refused).toBe(0);
    let taken = 0;
    for (let i = 0; i < 10_000; i += 1) {
      const { updates, state: before } = store;
      const bytes = body();
      if (random() < 0.3) bytes.setInt32(4 * Math.floor((random() * bytes.byteLength) / 4), Math.floor(random() * 9) - 3, true);
      const cut = random() < 0.1 ? Math.floor(random() * bytes.byteLength) : bytes.byteLength;
      const message = whole() as { arrays: { dtype: string }[] };
      // The whole numbers of one array come as fractions.
      if (random() < 0.1) message.arrays[Math.floor(random() * message.arrays.length)]!.dtype = "float32";
      store.receive(random() < 0.7 ? mutate(message, random) : message, new DataView(bytes.buffer, 0, cut));
      expect(undrawable(store.state!)).toEqual([]);
      if (store.updates === updates) expect(store.state).toBe(before);
      else taken += 1;
    }
    expect(store.refused).toBeGreaterThan(3000);
    expect(taken).toBeGreaterThan(100);
  });

  it("are taken from a widget's model without throwing, whatever arrives", () => {
    const handlers = new Map<string, (...values: unknown[]) => void>();
    const traits: Record<string, unknown> = { key: "k", bokeh_js: null, snapshot: null };
    const model = {
      get: (name: string) => traits[name],
      set: (name: string, value: unknown) => (traits[name] = value),
      on: (name: string, handler: (...values: unknown[]) => void) => handlers.set(name, handler),
      off: () => undefined,
    };
    const end = widget.initialize({ model: model as never });
    for (const message of [...ODD, snapshot(1), increment(2)]) {
      for (const buffers of [[], undefined, [null], [payload()], ["x"], [new DataView(new ArrayBuffer(0))]]) {
        handlers.get("msg:custom")!(message, buffers);
        traits["snapshot"] = { message, payload: buffers?.[0] };
        handlers.get("change:snapshot")!();
      }
      traits["snapshot"] = message;
      handlers.get("change:snapshot")!();
    }
    end();
  });

  it("that would need gigabytes are refused at once", () => {
    const store = new Store();
    store.receive(snapshot(1), payload(0));
    const arrays = [{ name: "metric/absmax", dtype: "float32", shape: [1_000_000, 0] }];
    store.receive({ ...increment(2), arrays }, new DataView(new ArrayBuffer(0)));
    expect(store.refused).toBe(1);
    expect(store.state!.sequence).toBe(1);
  });
});
