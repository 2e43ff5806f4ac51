// The decisions of an AdaptivePrecision as the views use them.
import type { Matrix } from "./decode";
import type { Precision, Revision } from "./generated/messages";

/** A share of a tensor's values, and of which tensor. */
export interface Loss {
  share: number;
  of: string;
}

export interface Decision {
  dtype: string;
  reason: string;
  numel: number;
  gradientNorm: number;
  underflow: Loss;
  subnormal: Loss;
  overflow: Loss;
  /** Of the variance between samples or units. */
  noise: Loss;
  /** Whether the layer loses more than it should. */
  harmful: boolean;
}

export interface PrecisionMap {
  layers: string[];
  revisions: Revision[];
  /** Revisions before the first of these. */
  earlier: number;
  /** Steps that were skipped before the first of these. */
  skippedBefore: number;
  /** By layer, then by revision; a layer may be missing in one. */
  decisions: (Decision | undefined)[][];
}

/** Rows of the arrays: revision, layer, whether it does harm, and texts; numbers. */
const PLACES = 9;
const NUMBERS = 6;

/** Throws an error that says what does not fit. */
export function readPrecision(info: Precision, arrays: Map<string, Matrix>): PrecisionMap {
  const places = part(arrays, "decisions", PLACES);
  const numbers = part(arrays, "evidence", NUMBERS);
  if (places.columns !== numbers.columns) throw new Error("the evidence does not fit the decisions");
  const { layers, revisions, texts } = info;
  const limits = [revisions.length, layers.length, 2, ...new Array<number>(PLACES - 3).fill(texts.length)];
  const decisions = layers.map(() => new Array<Decision | undefined>(revisions.length).fill(undefined));
  for (let column = 0; column < places.columns; column += 1) {
    const at = limits.map((_, row) => places.values[row * places.columns + column]!);
    if (!at.every((place, row) => Number.isInteger(place) && place >= 0 && place < limits[row]!)) throw new Error("a decision names what does not exist");
    const [revision, layer, harmful, ...words] = at;
    const own = Array.from({ length: NUMBERS }, (_, row) => numbers.values[row * numbers.columns + column]!);
    decisions[layer!]![revision!] = decision(words.map((word) => texts[word]!), own, harmful === 1);
  }
  return { layers, revisions, earlier: info.earlier, skippedBefore: info.skipped_before, decisions };
}

function part(arrays: Map<string, Matrix>, name: string, rows: number): Matrix {
  const matrix = arrays.get(name);
  if (matrix === undefined || matrix.rows !== rows) throw new Error(`the ${name} do not fit`);
  return matrix;
}

function decision(texts: string[], numbers: number[], harmful: boolean): Decision {
  const [dtype, reason, ...tensors] = texts;
  const [numel, gradientNorm, underflow, subnormal, overflow, noise] = numbers;
  return {
    dtype: dtype!,
    reason: reason!,
    numel: numel!,
    gradientNorm: gradientNorm!,
    underflow: { share: underflow!, of: tensors[0]! },
    subnormal: { share: subnormal!, of: tensors[1]! },
    overflow: { share: overflow!, of: tensors[2]! },
    noise: { share: noise!, of: tensors[3]! },
    harmful,
  };
}
