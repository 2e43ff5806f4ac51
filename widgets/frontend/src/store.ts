// The state of one run in the browser: the newest snapshot plus the increments that followed it without a gap.
import { inconsistency } from "./consistent";
import { decodeArrays, joinColumns, lowerBound, type Matrix } from "./decode";
import type { FindingInfo, FlowSite, Gate, Header, Layer, TensorLayout } from "./generated/messages";
import { type LayerDetail, readDetail } from "./detail";
import { isDetail, isGraph, isIncrement, isSnapshot } from "./generated/validate";
import { type ModuleGraph, readGraph } from "./graph";
import { type PrecisionMap, readPrecision } from "./precision";

export interface State {
  sequence: number;
  header: Header;
  layers: Layer[];
  stride: number;
  steps: Int32Array;
  rows: Map<string, number[]>;
  metrics: Map<string, Matrix>;
  scalars: Map<string, Matrix>;
  flow: FlowSite[];
  flowLayouts: Int32Array;
  flowValues: Matrix;
  layouts: TensorLayout[];
  findings: FindingInfo[];
  /** Null until one has arrived. */
  graph: ModuleGraph | null;
  /** The newest closer look at each layer, by its name; the newest last. */
  details: ReadonlyMap<string, LayerDetail>;
  gates: Gate[];
  /** Null where no precision was decided on. */
  precision: PrecisionMap | null;
}

/** Layers of which a closer look is kept. */
const MOST_DETAILS = 64;

const NOTHING: Matrix = { rows: 0, columns: 0, values: new Float32Array() };

export class Store {
  state: State | null = null;
  /** Messages that changed the state. */
  updates = 0;
  /** Messages that could not be read. */
  refused = 0;
  #graph: ModuleGraph | null = null;
  #details: ReadonlyMap<string, LayerDetail> = new Map();
  #listeners = new Set<() => void>();

  /** Takes a message and never throws; one that is invalid, old or follows a gap changes nothing. */
  receive(message: unknown, payload: DataView): void {
    let next: State | null;
    try {
      next = this.#next(message, payload);
    } catch (error) {
      this.#refuse(error);
      return;
    }
    if (next === null) return;
    this.state = next;
    this.updates += 1;
    for (const listener of this.#listeners) listener();
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #refuse(error: unknown): void {
    this.refused += 1;
    if (this.refused === 1) console.warn("DeepSeek Workbench: a message could not be read:", error);
  }

  #next(message: unknown, payload: DataView): State | null {
    const next = this.#read(message, payload);
    const fault = next && inconsistency(next);
    if (fault) throw new Error(fault);
    return next;
  }

  #read(message: unknown, payload: DataView): State | null {
    if (isGraph(message)) {
      this.#graph = readGraph(message, decodeArrays(message.arrays, payload));
      return this.state && { ...this.state, graph: this.#graph };
    }
    if (isDetail(message)) {
      const detail = readDetail(message, decodeArrays(message.arrays, payload));
      const others = [...this.#details].filter(([site]) => site !== detail.site);
      this.#details = new Map([...others, [detail.site, detail] as const].slice(-MOST_DETAILS));
      return this.state && { ...this.state, details: this.#details };
    }
    if (isSnapshot(message)) {
      if (this.state !== null && message.sequence <= this.state.sequence) return null;
      const arrays = decodeArrays(message.arrays, payload);
      const scalar = (index: number) => arrays.get(`scalar/${index}`) ?? NOTHING;
      return {
        ...message,
        steps: asIntegers(arrays.get("steps")),
        rows: new Map(message.metrics.map(({ name, rows }) => [name, rows])),
        metrics: new Map(message.metrics.map(({ name }) => [name, arrays.get(`metric/${name}`) ?? NOTHING])),
        scalars: new Map(message.series.map((name, index) => [name, scalar(index)])),
        flowLayouts: asIntegers(arrays.get("flow_layouts")),
        flowValues: arrays.get("flow") ?? NOTHING,
        graph: this.#graph,
        details: this.#details,
        gates: message.gates ?? [],
        precision: message.precision === undefined ? null : readPrecision(message.precision, arrays),
      };
    }
    const state = this.state;
    if (!isIncrement(message)) throw new Error("it does not follow the schema");
    if (state === null || message.sequence !== state.sequence + 1) return null;
    const arrays = decodeArrays(message.arrays, payload);
    const steps = asIntegers(arrays.get("steps"));
    const keep = steps.length > 0 ? lowerBound(state.steps, steps[0]!) : state.steps.length;
    return {
      ...state,
      sequence: message.sequence,
      header: message.header,
      steps: steps.length > 0 ? Int32Array.of(...state.steps.subarray(0, keep), ...steps) : state.steps,
      metrics: new Map([...state.metrics].map(([name, old]) => [name, extend(old, keep, arrays.get(`metric/${name}`))])),
      scalars: new Map([...state.scalars].map(([name, old], i) => [name, extendScalar(old, arrays.get(`scalar/${i}`))])),
      flowLayouts: arrays.has("flow_layouts") ? asIntegers(arrays.get("flow_layouts")) : state.flowLayouts,
      flowValues: arrays.get("flow") ?? state.flowValues,
      layouts: message.layouts.length > 0 ? [...state.layouts, ...message.layouts] : state.layouts,
      findings: message.findings.length > 0 ? [...state.findings, ...message.findings] : state.findings,
    };
  }
}

function extend(old: Matrix, keep: number, added: Matrix | undefined): Matrix {
  return added === undefined ? old : joinColumns(old, keep, added);
}

function extendScalar(old: Matrix, added: Matrix | undefined): Matrix {
  if (added === undefined) return old;
  const oldSteps = old.values.subarray(0, old.columns) as Float32Array;
  return joinColumns(old, lowerBound(oldSteps, added.values[0]!), added);
}

function asIntegers(matrix: Matrix | undefined): Int32Array {
  return matrix === undefined ? new Int32Array() : Int32Array.from(matrix.values);
}
