// From columns at uneven steps to the even grid that an image needs.
import type { Matrix } from "./decode";

export interface Grid {
  values: Float32Array;
  rows: number;
  columns: number;
  /** First step of the image and the number of steps that it covers. */
  start: number;
  span: number;
  /** For each column of the image the column of the matrix that it shows. */
  source: Int32Array;
}

const MOST_COLUMNS = 1024;

/**
 * Each column of the image shows the worst of the columns that start in it, or the last one before it: what was
 * measured stays on the screen until it is measured again.
 */
export function toGrid(matrix: Matrix, steps: Int32Array, stride: number, worst: "max" | "min"): Grid {
  const first = steps[0] ?? 0;
  const span = steps.length > 0 ? steps[steps.length - 1]! + stride - first : 1;
  const width = stride * Math.ceil(span / stride / MOST_COLUMNS);
  const columns = Math.ceil(span / width);
  const values = new Float32Array(matrix.rows * columns).fill(NaN);
  const source = new Int32Array(columns);
  const better = worst === "max" ? (a: number, b: number) => a > b : (a: number, b: number) => a < b;
  let next = 0;
  for (let cell = 0; cell < columns; cell += 1) {
    const from = next;
    const limit = first + (cell + 1) * width;
    while (next < steps.length && steps[next]! < limit) next += 1;
    const begin = from < next ? from : next - 1;
    source[cell] = next - 1;
    for (let row = 0; row < matrix.rows; row += 1) {
      let value = NaN;
      for (let column = begin; column < next; column += 1) {
        const other = matrix.values[row * matrix.columns + column]!;
        if (Number.isNaN(value) || better(other, value)) value = other;
      }
      values[row * columns + cell] = value;
    }
  }
  return { values, rows: matrix.rows, columns, start: first, span: columns * width, source };
}

/** Smallest and largest finite value (above zero on a log scale), as the ends of a colour scale. */
export function colourRange(values: Float32Array, scale: "log" | "linear"): [number, number] {
  if (scale === "linear") return [0, 1];
  let low = Infinity;
  let high = 0;
  for (const value of values) {
    if (value > 0 && Number.isFinite(value)) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (high === 0) return [1e-3, 1];
  return [Math.max(low, high * 1e-9), high];
}

const MANTISSAS = [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 4, 6]];
const MOST_TICKS = 5;

/** Round numbers between two positive ones, about evenly spaced on a log axis: a few of them. */
export function logTicks(low: number, high: number): number[] {
  const first = Math.floor(Math.log10(low));
  const decades = Array.from({ length: Math.ceil(Math.log10(high)) - first + 1 }, (_, index) => first + index);
  for (const mantissas of MANTISSAS) {
    const ticks = decades
      .flatMap((decade) => mantissas.map((mantissa) => Number(`${mantissa}e${decade}`)))
      .filter((tick) => tick >= low && tick <= high);
    const every = Math.ceil(ticks.length / MOST_TICKS);
    if (ticks.length >= 3) return ticks.filter((_, index) => index % every === 0);
  }
  return linearTicks(low, high);
}

/** Round numbers between two, evenly spaced: a few of them. */
export function linearTicks(low: number, high: number): number[] {
  if (high <= low) return [low];
  const rough = (high - low) / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough)!;
  const first = Math.ceil(low / step);
  const ticks = Array.from({ length: Math.floor(high / step) - first + 1 }, (_, index) => (first + index) * step);
  return ticks.map((tick) => Number(tick.toPrecision(6)));
}
