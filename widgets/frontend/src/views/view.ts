// What the views have in common.
import type { Bokeh, Chart } from "../bokeh";
import type { Control } from "../control";
import type { MetricInfo, Setup } from "../generated/messages";
import type { State } from "../store";

/** One part of the page; it adds itself to its parent at once, because charts must be born in the page. */
export interface View {
  /** Shows a new state; called at most once a frame. */
  update(state: State, selection: Selection): void;
  remove?(): void;
  /** Charts that follow the theme. */
  readonly charts?: readonly Chart[];
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
  bokeh: Bokeh;
  setup: Setup;
  root: HTMLElement;
  /** The way to the training, or the sentence that says why there is none. */
  control: Control | string;
  select(change: Partial<Selection>): void;
}

export function chartItem(setup: Setup, name: string): unknown {
  const chart = setup.documents.find((document) => document.name === name);
  if (chart === undefined) throw new Error(`There is no chart ${name}.`);
  return chart.item;
}
