import { describe, expect, it } from "vitest";
import type { Graph } from "../src/generated/messages";
import { Store } from "../src/store";

const layout = { dtype: "float32", shape: [2, 4], bytes: 32 };
const header = { state: "running", step: 3, observed: 3, steps_per_second: null, overhead: null, dropped: 0, scalar: null } as const;

/** A model with one linear layer that is called once. */
const NODES = [
  [0, -1, -1, 0, 0, 1, -1],
  [0, 0, -1, 0, 2, 3, -1],
  [3, 0, -1, 0, 4, 4, 0],
  [1, 1, -1, 0, 2, 3, 0],
];

function message(nodes: number[][], edges: number[][]): [Graph, DataView] {
  const columns = (rows: number[][], width: number) => Array.from({ length: width }, (_, i) => rows.map((row) => row[i]!)).flat();
  return [
    {
      type: "graph",
      complete: true,
      note: "",
      texts: ["", "Net", "head", "Linear", "input.0"],
      layouts: [layout],
      arrays: [
        { name: "nodes", dtype: "int32", shape: [7, nodes.length] },
        { name: "edges", dtype: "int32", shape: [3, edges.length] },
      ],
    },
    new DataView(Int32Array.from([...columns(nodes, 7), ...columns(edges, 3)]).buffer),
  ];
}

function store(): Store {
  const made = new Store();
  const nothing = { layers: [], stride: 1, metrics: [], series: [], flow: [], layouts: [], findings: [], arrays: [] };
  made.receive({ type: "snapshot", sequence: 1, header, ...nothing }, new DataView(new ArrayBuffer(0)));
  return made;
}

describe("the module graph", () => {
  it("arrives as it was sent", () => {
    const made = store();
    made.receive(...message(NODES, [[2, 3, 0]]));
    const { nodes, edges, complete } = made.state!.graph!;
    expect(complete).toBe(true);
    expect(nodes.map(({ kind, site, type, parent }) => [kind, site, type, parent])).toEqual([
      ["module", "", "Net", null],
      ["module", "head", "Linear", 0],
      ["input", "input.0", "input.0", 0],
      ["call", "head", "Linear", 1],
    ]);
    expect(edges).toEqual([{ source: 2, target: 3, layout }]);
  });

  it("is kept by the snapshots that follow, and may come before the first one", () => {
    const made = new Store();
    made.receive(...message(NODES, []));
    expect(made.state).toBeNull();
    const later = store();
    later.receive(...message(NODES, []));
    const nothing = { layers: [], stride: 1, metrics: [], series: [], flow: [], layouts: [], findings: [], arrays: [] };
    for (const each of [made, later]) {
      each.receive({ type: "snapshot", sequence: 2, header, ...nothing }, new DataView(new ArrayBuffer(0)));
      expect(each.state!.graph!.nodes).toHaveLength(4);
    }
  });

  it.each([
    ["an edge to nowhere", NODES, [[2, 9, 0]]],
    ["an edge that leads back", NODES, [[3, 2, 0]]],
    ["a layout that is missing", NODES, [[2, 3, 1]]],
    ["a parent that comes later", [[0, 1, -1, 0, 0, 1, -1], NODES[1]!], []],
    ["a kind that nobody knows", [[7, -1, -1, 0, 0, 1, -1]], []],
    ["a text that is missing", [[0, -1, -1, 0, 9, 1, -1]], []],
  ])("is refused with %s", (_, nodes, edges) => {
    const made = store();
    made.receive(...message(nodes, edges));
    expect(made.refused).toBe(1);
    expect(made.state!.graph).toBeNull();
  });
});
