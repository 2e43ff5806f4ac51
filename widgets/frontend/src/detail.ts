// A closer look at a layer as the views use it.
import type { Matrix } from "./decode";
import type { Detail, HistogramInfo } from "./generated/messages";

/** Bins of equal width, as Python counts them. */
const BINS = 64;

export const LOSSES = ["underflow", "subnormal", "overflow"] as const;
export type Loss = (typeof LOSSES)[number];

/** The formats whose ranges values are compared with, in the order of the counts in a message. */
export const FORMATS = [
  { name: "float16", smallest: 2 ** -24, normal: 2 ** -14, largest: 65504 },
  { name: "bfloat16", smallest: 2 ** -133, normal: 2 ** -126, largest: 2 ** 128 - 2 ** 120 },
  { name: "float8 e4m3", smallest: 2 ** -9, normal: 2 ** -6, largest: 448 },
  { name: "float8 e5m2", smallest: 2 ** -16, normal: 2 ** -14, largest: 57344 },
] as const;

export interface Histogram extends HistogramInfo {
  /** Elements in bins of equal width from `low` to `high`. */
  counts: number[];
  /** Elements other than zero by binary exponent, from `firstExponent` on. */
  exponents: number[];
  firstExponent: number;
  /** For each of `FORMATS` how many elements it would make zero, subnormal, and infinite. */
  losses: Record<Loss, number>[];
}

export interface Units {
  of: "activation" | "gradient";
  samples: number;
  active: number[];
  saturated: number[];
}

export interface WeightPicture {
  kind: "filters" | "heads" | "matrix";
  tensor: string;
  caption: string;
  values: Matrix;
}

export interface LayerDetail
  extends Omit<Detail, "type" | "histograms" | "first_exponent" | "units" | "picture" | "arrays"> {
  histograms: Histogram[];
  units: Units | null;
  picture: WeightPicture | null;
}

/** Throws an error that says what does not fit. */
export function readDetail(message: Detail, arrays: Map<string, Matrix>): LayerDetail {
  const { type: _, histograms, first_exponent: firstExponent, units, picture, arrays: __, ...rest } = message;
  const part = (name: string, rows: number): Matrix => {
    const matrix = arrays.get(name);
    if (matrix === undefined || matrix.rows !== rows) throw new Error(`${name} of the detail do not fit`);
    return matrix;
  };
  const row = ({ values, columns }: Matrix, index: number) =>
    Array.from(values.subarray(index * columns, (index + 1) * columns));
  const [counts, exponents, formats] = ["counts", "exponents", "formats"].map((name) => part(name, histograms.length));
  const wrong = counts!.columns !== BINS || formats!.columns !== FORMATS.length * LOSSES.length;
  if (wrong && histograms.length > 0) throw new Error("the histograms do not fit");
  return {
    ...rest,
    histograms: histograms.map((info, index) => ({
      ...info,
      counts: row(counts!, index),
      exponents: row(exponents!, index),
      firstExponent,
      losses: FORMATS.map((_format, place) => {
        const [underflow, subnormal, overflow] = row(formats!, index).slice(place * LOSSES.length);
        return { underflow: underflow!, subnormal: subnormal!, overflow: overflow! };
      }),
    })),
    units: units && { ...units, active: row(part("units", 2), 0), saturated: row(part("units", 2), 1) },
    picture: picture && { ...picture, values: part("picture", arrays.get("picture")?.rows ?? -1) },
  };
}
