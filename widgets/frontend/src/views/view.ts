// What the views have in common.
import type { Chart } from "../bokeh";
import type { Control } from "../control";
import type { MetricInfo, Setup } from "../generated/messages";
import type { State } from "../store";

/** One part of the page; it adds itself to its parent at once. */
export interface View {
  /** Shows a new state; what takes long is handed to the host's `later`. */
  update(state: State, selection: Selection): void;
  remove?(): void;
}

/** What the user chose. */
export interface Selection {
  metric: MetricInfo;
  /** Index into the layers, or null before there are any. */
  layer: number | null;
  /** The recorded step to show where a view shows one; null for the newest. */
  step: number | null;
}

/** What views need from the page that they stand in. */
export interface Host {
  setup: Setup;
  root: HTMLElement;
  /** The way to the training, or the sentence that says why there is none. */
  control: Control | string;
  select(change: Partial<Selection>): void;
  /** Draws a chart of that name into an element that is seen: charts must be born in the page. Resolves once it is there. */
  chart(name: string, target: HTMLElement): Promise<Chart>;
  /** Has a part that takes long drawn in a frame of its own; a newer one of the same part replaces it. */
  later(part: object, draw: () => void): void;
}
