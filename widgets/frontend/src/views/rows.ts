// The vertical axis of pictures in which each row is a layer, the input at the top.
import { plainText, type Chart, type Model } from "../bokeh";
import { shorten } from "../format";

/** Letters of a name that there is room for. */
export const LABEL_LENGTH = 26;
const AXES_HEIGHT = 48;
const LABEL_HEIGHT = 13;

/** How high so many rows are together, and how many of them share one name. */
export function rowsLayout(count: number): { height: number; every: number } {
  const rowHeight = Math.min(22, Math.max(9, 440 / Math.max(1, count)));
  const height = Math.round(Math.min(560, Math.max(150, count * rowHeight)));
  return { height, every: Math.max(1, Math.ceil((LABEL_HEIGHT * count) / height)) };
}

/** Makes room for the rows of a chart and writes as many of their names beside them as fit. */
export function showRows({ bokeh, figure }: Chart, names: readonly string[]): void {
  const { height, every } = rowsLayout(names.length);
  const ticks = names.map((_, index) => index).filter((index) => index % every === 0);
  const [axis] = figure["left"] as Record<string, unknown>[];
  (axis!["ticker"] as Record<string, unknown>)["ticks"] = ticks.map((index) => index + 0.5);
  axis!["major_label_overrides"] = new Map(
    ticks.map((index) => [index + 0.5, plainText(bokeh, shorten(names[index]!, LABEL_LENGTH))]),
  );
  figure["height"] = height + AXES_HEIGHT;
  // A range that grows downwards puts the first layer on top.
  (figure["y_range"] as Model).setv({ start: Math.max(1, names.length), end: 0 });
}
