// Generated from messages.schema.json by "npm run generate"; schema sha256: 7956052b91b05002d6c8ca13ff40b19845bc146e2885ce6b42d4c60640430ecf
/**
 * Everything that travels from Python to the browser. Arrays follow as one binary payload.
 */
export type Message = Setup | Charts | Snapshot | Increment | Graph | Detail | End;
export type Name = string;
export type SessionKey = string;
export type Text = string;
export type Key = string;

/**
 * Sent once: what does not change during a run.
 */
export interface Setup {
  type: "setup";
  title: Name;
  session?: SessionKey;
  /**
   * @maxItems 32
   */
  meta: Fact[];
  /**
   * @maxItems 16
   */
  metrics: MetricInfo[];
}
export interface Fact {
  name: Name;
  value: Text;
}
export interface MetricInfo {
  name: Key;
  title: Name;
  scale: "log" | "linear";
  worst: "max" | "min";
  description: Text;
}
/**
 * Sent once, after the first figures; the payload is BokehJS where the page has none yet.
 */
export interface Charts {
  type: "charts";
  /**
   * @maxItems 32
   */
  documents: Chart[];
}
/**
 * A Bokeh document as made by bokeh.embed.json_item.
 */
export interface Chart {
  name: Name;
  item: {
    [k: string]: unknown;
  };
}
/**
 * The whole state, up to and including its sequence number.
 */
export interface Snapshot {
  type: "snapshot";
  sequence: number;
  header: Header;
  /**
   * @maxItems 8192
   */
  layers: Layer[];
  stride: number;
  /**
   * @maxItems 16
   */
  metrics: MetricRows[];
  /**
   * @maxItems 8
   */
  series: Name[];
  /**
   * @maxItems 8192
   */
  flow: FlowSite[];
  /**
   * @maxItems 65536
   */
  layouts: TensorLayout[];
  /**
   * @maxItems 200
   */
  findings: FindingInfo[];
  /**
   * @maxItems 256
   */
  gates?: Gate[];
  precision?: Precision;
  /**
   * @maxItems 64
   */
  arrays: ArrayInfo[];
}
export interface Header {
  state: "running" | "paused" | "closed" | "interrupted";
  step: number;
  /**
   * Steps with measurements.
   */
  observed: number;
  steps_per_second: number | null;
  overhead: OverheadInfo | null;
  dropped: number;
  scalar: Scalar | null;
}
export interface OverheadInfo {
  share: number | null;
  low: number | null;
  high: number | null;
  method: "interleaved" | "self-timed";
}
/**
 * Newest logged value; text when it is not finite.
 */
export interface Scalar {
  name: Name;
  value: number | string;
}
export interface Layer {
  name: Name;
  type: Name;
}
/**
 * Which layers the rows of a metric's array stand for.
 */
export interface MetricRows {
  name: Key;
  /**
   * @maxItems 8192
   */
  rows: number[];
}
export interface FlowSite {
  site: Name;
  type: Name;
  layer: number;
}
export interface TensorLayout {
  dtype: Name;
  /**
   * @maxItems 64
   */
  shape: number[];
  bytes: number;
}
export interface FindingInfo {
  rule: Name;
  severity: "info" | "warning" | "error";
  site: Name;
  step: number;
  message: Text;
  /**
   * @maxItems 32
   */
  evidence: Fact[];
  cause: Text;
  fix: Text;
}
/**
 * A sparse gate, and how often its blocks were open in its newest window; 0 samples before the first.
 */
export interface Gate {
  layer: number;
  samples: number;
  blocks: number;
  /**
   * @maxItems 64
   */
  open: number[];
  /**
   * The same blocks for every sample.
   */
  constant: boolean;
}
/**
 * Decisions on the precision of layers; arrays: decisions (revision, layer, texts) and evidence.
 */
export interface Precision {
  /**
   * @maxItems 1000
   */
  layers: Name[];
  /**
   * @maxItems 5000
   */
  texts: Name[];
  /**
   * Revisions that are left out.
   */
  earlier: number;
  skipped_before: number;
  /**
   * @minItems 1
   * @maxItems 60
   */
  revisions: Revision[];
}
export interface Revision {
  step: number;
  epoch: number;
  policy: Name;
  half: Name;
  loss_scale: number | null;
  /**
   * Steps since, up to the next revision.
   */
  skipped: number;
}
/**
 * One array of the payload; arrays lie one after the other, little endian, row by row.
 */
export interface ArrayInfo {
  name: string;
  dtype: "float32" | "int32";
  /**
   * @minItems 1
   * @maxItems 2
   */
  shape: number[];
}
/**
 * What changed since the message before; columns and points replace those from their first step on.
 */
export interface Increment {
  type: "increment";
  sequence: number;
  header: Header;
  /**
   * @maxItems 65536
   */
  layouts: TensorLayout[];
  /**
   * @maxItems 200
   */
  findings: FindingInfo[];
  /**
   * @maxItems 64
   */
  arrays: ArrayInfo[];
}
/**
 * The module graph, sent whenever it is new; nodes and edges are columns of arrays, -1 for none.
 */
export interface Graph {
  type: "graph";
  complete: boolean;
  note: Text;
  /**
   * @maxItems 40000
   */
  texts: Name[];
  /**
   * @maxItems 80000
   */
  layouts: TensorLayout[];
  /**
   * @maxItems 2
   */
  arrays: ArrayInfo[];
}
/**
 * A closer look at a layer. Arrays: counts, exponents, formats, units, picture; rows are histograms.
 */
export interface Detail {
  type: "detail";
  site: Name;
  layer_type: Name;
  step: number;
  /**
   * Whether the layer is looked at in every step.
   */
  watched: boolean;
  calls: number;
  note: Text;
  forward_ms: number | null;
  backward_ms: number | null;
  output_bytes: number;
  parameter_bytes: number;
  gradient_bytes: number;
  /**
   * @maxItems 32
   */
  histograms: HistogramInfo[];
  first_exponent: number;
  units: UnitsInfo | null;
  picture: PictureInfo | null;
  /**
   * @maxItems 5
   */
  arrays: ArrayInfo[];
}
export interface HistogramInfo {
  kind: "activation" | "activation_gradient" | "gradient" | "parameter";
  tensor: Name;
  dtype: Name;
  numel: number;
  zeros: number;
  nonfinite: number;
  low: number | null;
  high: number | null;
}
export interface UnitsInfo {
  of: "activation" | "gradient";
  samples: number;
}
export interface PictureInfo {
  kind: "filters" | "heads" | "matrix";
  tensor: Name;
  caption: Text;
}
/**
 * The last message of a stream.
 */
export interface End {
  type: "end";
  reason: Text;
}
