// The look of a box that changes with the step, the metric and what the user chose.
import { setAttribute } from "../dom";
import { formatNumber } from "../format";
import type { Reading } from "../graph_reading";
import type { Box } from "../graph_tree";
import { paintOf } from "./graph_scale";
import { boxLabel } from "./graph_tip";

export interface Standing {
  open: boolean;
  /** The layer that the user chose. */
  layer: number | null;
  /** Whether the search found it; `current` is the match that was gone to last. */
  match: "true" | "false" | "current";
}

export function paintBox(part: SVGGElement, box: Box, reading: Reading, { open, layer, match }: Standing): void {
  const value = reading.value(box);
  // What is in an expanded box shows its own colours.
  const { fill, tone } = paintOf(open ? null : value, reading.range, reading.metric.scale);
  const { own, all } = reading.layersOf(box);
  const chosen = layer !== null && (open ? own === layer : all.has(layer));
  const marked = reading.hasFinding(box);
  setAttribute(part, "data-tone", tone);
  setAttribute(part, "data-chosen", String(chosen));
  setAttribute(part, "data-finding", String(marked && !open));
  setAttribute(part, "data-value", value === null ? "" : formatNumber(value));
  setAttribute(part, "data-match", match);
  setAttribute(part, "aria-label", boxLabel(box, reading.valueText(box), marked));
  if (part.style.getPropertyValue("--ds-fill") !== fill) part.style.setProperty("--ds-fill", fill === "" ? null : fill);
}
