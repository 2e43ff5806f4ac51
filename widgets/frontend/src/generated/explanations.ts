// Generated from explanations.schema.json by "npm run generate"; schema sha256: f8538461b6e3a028df5d722714bdbb2777be8bb2c9a88017690d92f0a1f441f0
/**
 * What travels between Python and the browser about explanations. Arrays follow as one binary payload.
 */
export type ExplanationMessage =
  AttributionMessage | AttentionMessage | Choices | Progress | ExplainRequest | CancelRequest;
export type Name = string;
export type Text = string;
/**
 * What the first row is called.
 */
export type First = number;

/**
 * Attributions of some rows and outputs; the rows of arrays are rows x outputs.
 */
export interface AttributionMessage {
  type: "attribution";
  method: Name;
  target: Name;
  background: Text;
  first: First;
  rows: number;
  /**
   * @minItems 1
   */
  outputs: Name[];
  /**
   * @minItems 1
   * @maxItems 64
   */
  inputs: InputInfo[];
  evaluations: number;
  seconds: number;
  /**
   * @maxItems 32
   */
  notes: Text[];
  /**
   * @maxItems 400
   */
  arrays: ArrayInfo[];
}
/**
 * What has the attributions of one input: features, or the pixels of a picture.
 */
export interface InputInfo {
  name: Name;
  unit: "feature" | "group" | "pixel";
  /**
   * Their names, if any.
   */
  features: Name[];
  /**
   * By row what each feature was, in words; empty where the numbers say it.
   */
  shown: Name[][];
  /**
   * Of the picture; 0 without.
   */
  height: number;
  width: number;
}
/**
 * One array of the payload; arrays lie one after the other, little endian, row by row.
 */
export interface ArrayInfo {
  name: string;
  dtype: "float32" | "int32" | "uint8";
  /**
   * @minItems 2
   * @maxItems 2
   */
  shape: number[];
}
/**
 * Where the tokens of some rows look. Rows of weights: rows x heads x queries.
 */
export interface AttentionMessage {
  type: "attention";
  model: Name;
  first: First;
  rows: number;
  /**
   * The weight that 255 stands for, on a square-root scale.
   */
  most: number;
  /**
   * Of weights x values from what calls returned.
   */
  deviation: number;
  /**
   * @minItems 1
   * @maxItems 1024
   */
  maps: MapInfo[];
  /**
   * @maxItems 16
   */
  scores: ScoresInfo[];
  /**
   * @maxItems 20
   */
  sequences: Sequence[];
  /**
   * Of the pictures that patches are of; 0 without.
   */
  height: number;
  width: number;
  /**
   * @maxItems 32
   */
  notes: Text[];
  /**
   * @maxItems 1100
   */
  arrays: ArrayInfo[];
}
/**
 * One attention call; looking and seen are places in the sequences, -1 for tokens without texts.
 */
export interface MapInfo {
  name: Name;
  kind: "self" | "decoder" | "cross";
  /**
   * @minItems 1
   */
  heads: number[];
  /**
   * @minItems 1
   */
  queries: number[];
  looking: number;
  seen: number;
  patches: Patches | null;
}
/**
 * The last tokens are patches of a picture.
 */
export interface Patches {
  rows: number;
  columns: number;
}
/**
 * A derived map, with how faithful it is; tokens is a place in the sequences, -1 without texts.
 */
export interface ScoresInfo {
  method: Name;
  verdict: Text;
  tokens: number;
  patches: Patches | null;
}
/**
 * A text for each token of each row.
 */
export interface Sequence {
  texts: Name[][];
}
/**
 * What may be asked of a model, and what is asked first.
 */
export interface Choices {
  type: "choices";
  samples: number;
  /**
   * @minItems 1
   */
  targets: Name[];
  /**
   * @minItems 1
   */
  methods: MethodInfo[];
  asked: ExplainRequest;
}
/**
 * A method, and what it can compare samples with; nothing where it has no target either.
 */
export interface MethodInfo {
  name: Name;
  against: Name[];
}
/**
 * Asks for an explanation of one sample.
 */
export interface ExplainRequest {
  type: "explain";
  sample: number;
  method: Name;
  against: Name;
  target: Name;
}
/**
 * Where the computation stands, in a state and a sentence.
 */
export interface Progress {
  type: "progress";
  state: "idle" | "waiting" | "computing" | "failed";
  said: Text;
}
/**
 * Asks for an end of the computation.
 */
export interface CancelRequest {
  type: "cancel";
}
