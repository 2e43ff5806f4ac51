// Takes the payload of a message apart into the arrays that the message names.
import type { ArrayInfo as Bytes } from "./generated/explanations";
import type { ArrayInfo } from "./generated/messages";

export interface Matrix {
  rows: number;
  columns: number;
  values: Float32Array | Int32Array | Uint8Array;
}

export function decodeArrays(infos: readonly (ArrayInfo | Bytes)[], payload: DataView): Map<string, Matrix> {
  const arrays = new Map<string, Matrix>();
  let offset = 0;
  for (const { name, dtype, shape } of infos) {
    const [rows, columns] = shape.length === 2 ? [shape[0]!, shape[1]!] : [1, shape[0]!];
    const end = offset + (dtype === "uint8" ? 1 : 4) * rows * columns;
    if (end > payload.byteLength) throw new Error(`array ${name} needs ${end} bytes, got ${payload.byteLength}`);
    const bytes = payload.buffer.slice(payload.byteOffset + offset, payload.byteOffset + end);
    arrays.set(name, { rows, columns, values: typed(dtype, bytes) });
    offset = end;
  }
  if (offset !== payload.byteLength) throw new Error(`${payload.byteLength - offset} bytes of the payload have no name`);
  return arrays;
}

function typed(dtype: Bytes["dtype"], bytes: ArrayBufferLike): Matrix["values"] {
  if (dtype === "uint8") return new Uint8Array(bytes);
  return dtype === "int32" ? new Int32Array(bytes) : new Float32Array(bytes);
}

/**
 * Puts new columns behind the old ones that start before them.
 *
 * `keep` is the number of old columns that stay.
 */
export function joinColumns(old: Matrix, keep: number, added: Matrix): Matrix {
  if (old.columns > 0 && old.rows !== added.rows) throw new Error(`${added.rows} rows do not continue ${old.rows}`);
  const columns = keep + added.columns;
  const values = new Float32Array(added.rows * columns);
  for (let row = 0; row < added.rows; row += 1) {
    values.set(old.values.subarray(row * old.columns, row * old.columns + keep), row * columns);
    values.set(added.values.subarray(row * added.columns, (row + 1) * added.columns), row * columns + keep);
  }
  return { rows: added.rows, columns, values };
}

/** Index of the first of the ascending values that is not below the limit. */
export function lowerBound(values: Float32Array | Int32Array, limit: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle]! < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
