// What is seen of the attention maps, and its weights.
import { type Attention, rowOf } from "../explanation";

export interface Chosen {
  row: number;
  map: number;
  /** Place among the heads of the map. */
  head: number;
  /** Place among its queries. */
  query: number;
}

/** A part of the view. */
export interface AttentionPart {
  element: HTMLElement;
  show(chosen: Chosen): void;
}

/** The bytes of one head, by query and key. */
export function bytesOf({ maps }: Attention, chosen: Chosen): Uint8Array {
  const { weights, info } = maps[chosen.map]!;
  const first = firstQuery(info.heads.length, info.queries.length, chosen);
  return weights.values.subarray(first * weights.columns, (first + info.queries.length) * weights.columns) as Uint8Array;
}

/** The bytes of the chosen query, by key. */
export function lookOf({ maps }: Attention, chosen: Chosen): Uint8Array {
  const { weights, info } = maps[chosen.map]!;
  return rowOf(weights, firstQuery(info.heads.length, info.queries.length, chosen) + chosen.query) as Uint8Array;
}

/** Where the weights of one head begin among the rows of its map. */
function firstQuery(heads: number, queries: number, { row, head }: Chosen): number {
  return (row * heads + head) * queries;
}
