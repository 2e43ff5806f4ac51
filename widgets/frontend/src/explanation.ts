// An explanation as the views read it: the message, with its arrays checked against what it says of them.
import { decodeArrays, type Matrix } from "./decode";
import { formatNumber } from "./format";
import type { AttentionMessage, AttributionMessage, InputInfo, MapInfo, ScoresInfo } from "./generated/explanations";
import { isAttentionMessage, isAttributionMessage } from "./generated/validate";

export type Explanation = Attribution | Attention;

/** Rows of `base`, `reached` and `gap` are rows, their columns outputs. */
export interface Attribution {
  message: AttributionMessage;
  base: Matrix;
  reached: Matrix;
  gap: Matrix;
  inputs: InputValues[];
}

export interface InputValues {
  info: InputInfo;
  /** Rows x outputs, by feature. */
  values: Matrix;
  /** Their standard errors; null where they are exact. */
  errors: Matrix | null;
  /** By row what was explained: by feature, or the pixels of a picture. */
  data: Matrix;
  /** The feature that each pixel belongs to, -1 for none: of all rows, or of each; null where each pixel is one. */
  cells: Matrix | null;
}

export interface Attention {
  message: AttentionMessage;
  maps: HeadMap[];
  scores: ScoredTokens[];
  /** The pixels of each row's picture; null without. */
  pictures: Matrix | null;
}

export interface HeadMap {
  info: MapInfo;
  /** Rows x heads x queries, by key: on a square-root scale, 255 for the largest weight of all. */
  weights: Matrix;
}

/** A derived map: a score for each token of each row. */
export interface ScoredTokens {
  info: ScoresInfo;
  values: Matrix;
  /** By row the largest score of a token that counts: special ones would hide the rest. */
  largest: Matrix;
}

/** Reads an explanation; throws where it does not follow the schema or its arrays do not fit it. */
export function readExplanation(message: unknown, payload: DataView): Explanation {
  if (isAttributionMessage(message)) return readAttribution(message, payload);
  if (isAttentionMessage(message)) return readAttention(message, payload);
  throw new Error("The explanation does not follow the schema.");
}

export function isAttention(explanation: Explanation): explanation is Attention {
  return "maps" in explanation;
}

/** Where a row and output of an attribution lie in the arrays of its inputs. */
export function placeOf({ message }: Attribution, row: number, output: number): number {
  return row * message.outputs.length + output;
}

/** The numbers of one row of an array. */
export function rowOf({ values, columns }: Matrix, row: number): Matrix["values"] {
  return values.subarray(row * columns, (row + 1) * columns);
}

/** The feature that a pixel belongs to, -1 for none. */
export function featureOf({ cells }: InputValues, row: number, pixel: number): number {
  return cells === null ? pixel : cells.values[(cells.rows > 1 ? row : 0) * cells.columns + pixel]!;
}

/** How many features a row has; the others of its values belong to longer rows. */
export function featureCount({ info, values, cells }: InputValues, row: number): number {
  const last = cells === null ? values.columns - 1 : Math.max(...new Set(rowOf(cells, cells.rows > 1 ? row : 0)));
  return Math.min(info.shown[row]?.length ?? last + 1, values.columns);
}

/** Whether the features of a row are the parts of a text, in its order. */
export function isText({ info }: InputValues, row: number): boolean {
  return info.height === 0 && info.features.length === 0 && (info.shown[row]?.length ?? 0) > 0;
}

/** The name of a feature and what it was in a row. */
export function featureLabel({ info, data }: InputValues, row: number, index: number): string {
  const { unit, features, shown, height, width } = info;
  if (unit === "pixel") return pixelName(width, index);
  const words = shown[row]?.[index];
  const name = features[index];
  if (words !== undefined) return name === undefined ? words : `${name} = ${words}`;
  if (height > 0) return name ?? `${unit} ${index}`;
  return `${name ?? `${unit} ${index}`} = ${formatNumber(data.values[row * data.columns + index]!, 3)}`;
}

export function pixelName(width: number, pixel: number): string {
  return `row ${Math.floor(pixel / width)}, column ${pixel % width}`;
}

/** The weight that a byte stands for. */
export function weightOf({ message }: Attention, byte: number): number {
  return (byte / 255) ** 2 * message.most;
}

/** The text of a token, or its number. */
export function tokenText({ message }: Attention, sequence: number, row: number, place: number): string {
  return message.sequences[sequence]?.texts[row]?.[place] ?? String(place);
}

function readAttribution(message: AttributionMessage, payload: DataView): Attribution {
  const arrays = decodeArrays(message.arrays, payload);
  const rows = message.rows;
  const outputs = message.outputs.length;
  const [base, reached, gap] = ["base", "reached", "gap"].map((name) => fitting(arrays, name, rows, outputs));
  const inputs = message.inputs.map((info, index) => {
    const pixels = info.height * info.width;
    const values = fitting(arrays, `values/${index}`, rows * outputs);
    const features = values.columns;
    const errors = arrays.has(`errors/${index}`) ? fitting(arrays, `errors/${index}`, rows * outputs, features) : null;
    const shared = arrays.get(`cells/${index}`)?.rows === 1 ? 1 : rows;
    const cells = arrays.has(`cells/${index}`) ? fitting(arrays, `cells/${index}`, shared, pixels) : null;
    const data = fitting(arrays, `data/${index}`, rows, pixels > 0 ? pixels : features);
    if (pixels > 0 && cells === null && features !== pixels) throw new Error("Its values do not fit its picture.");
    return { info, values, errors, data, cells };
  });
  return { message, base: base!, reached: reached!, gap: gap!, inputs };
}

function readAttention(message: AttentionMessage, payload: DataView): Attention {
  const arrays = decodeArrays(message.arrays, payload);
  const maps = message.maps.map((info, index) => {
    const weights = fitting(arrays, `weights/${index}`, message.rows * info.heads.length * info.queries.length);
    const patches = (info.patches?.rows ?? 0) * (info.patches?.columns ?? 0);
    if (patches > weights.columns) throw new Error("Its patches do not fit its weights.");
    return { info, weights };
  });
  const pixels = message.height * message.width;
  const scores = message.scores.map((info, index) => {
    const values = fitting(arrays, `scores/${index}`, message.rows);
    if (info.patches !== null && (pixels === 0 || info.patches.rows * info.patches.columns > values.columns)) {
      throw new Error("Its patches do not fit its scores.");
    }
    return { info, values, largest: fitting(arrays, `largest/${index}`, message.rows, 1) };
  });
  return { message, maps, scores, pictures: pixels > 0 ? fitting(arrays, "pictures", message.rows, pixels) : null };
}

function fitting(arrays: Map<string, Matrix>, name: string, rows: number, columns?: number): Matrix {
  const found = arrays.get(name);
  if (found === undefined || found.rows !== rows || found.columns !== (columns ?? found.columns) || found.columns < 1) {
    throw new Error(`The array ${name} of the explanation is missing or does not fit.`);
  }
  return found;
}
