// Round ticks of a log scale, with as many digits as tell them apart.
import { type Bokeh, type Model, plainText } from "../bokeh";
import { tickLabels } from "../format";
import { logTicks } from "../grid";

/** Gives an axis or a colour bar, whose ticks its fixed ticker holds, ticks for a range of positive values. */
export function labelTicks(bokeh: Bokeh, labelled: Record<string, unknown>, ticker: Model, low: number, high: number): void {
  const ticks = logTicks(low, high);
  const labels = tickLabels(ticks);
  ticker["ticks"] = ticks;
  labelled["major_label_overrides"] = new Map(ticks.map((tick, index) => [tick, plainText(bokeh, labels[index]!)]));
}
