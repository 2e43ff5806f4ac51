// The charts that BokehJS draws. They come after the first figures, because BokehJS takes longer to load than those.
import { type Bokeh, type Chart, embed } from "./bokeh";
import { h } from "./dom";
import type { Charts } from "./generated/messages";
import { colourChart } from "./theme";
import type { Host } from "./views/view";

export interface ChartSource {
  bokeh: Bokeh;
  documents: Charts["documents"];
}

/** Something that comes later, with the function that brings it. */
export interface Coming<T> {
  promise: Promise<T>;
  resolve(value: T): void;
}

export function coming<T>(): Coming<T> {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((take) => (resolve = take));
  return { promise, resolve };
}

/** Draws the charts of one page and keeps them in the colours of the theme. */
export class ChartShelf {
  #root: HTMLElement;
  #source: Promise<ChartSource>;
  #charts: Chart[] = [];
  #last: Promise<unknown> = Promise.resolve();
  #removed = false;

  constructor(root: HTMLElement, source: Promise<ChartSource>) {
    this.#root = root;
    this.#source = source;
  }

  /** Resolves when all charts that were asked for by now are there. */
  get drawn(): Promise<unknown> {
    return this.#last;
  }

  /** Draws a chart into an element that is seen; one after the other, so that the page is never busy for long. */
  draw(name: string, target: HTMLElement): Promise<Chart> {
    const before = this.#last;
    return new Promise((resolve) => {
      this.#last = before.then(() => this.#make(name, target)).then(
        (chart) => chart && resolve(chart),
        (error: unknown) => target.replaceChildren(h("p", { class: "ds-empty" }, `The chart could not be drawn: ${String(error)}`)),
      );
    });
  }

  colour(): void {
    for (const chart of this.#charts) colourChart(chart, this.#root);
  }

  remove(): void {
    this.#removed = true;
    for (const chart of this.#charts.splice(0)) chart.remove();
  }

  async #make(name: string, target: HTMLElement): Promise<Chart | null> {
    const { bokeh, documents } = await this.#source;
    await new Promise((resolve) => setTimeout(resolve));
    const found = documents.find((each) => each.name === name);
    if (found === undefined) throw new Error(`there is no chart ${name}.`);
    if (this.#removed) return null;
    const chart = await embed(bokeh, found.item, target);
    if (this.#removed) {
      chart.remove();
      return null;
    }
    colourChart(chart, this.#root);
    this.#charts.push(chart);
    return chart;
  }
}

/** A chart that is made when its place is first seen; the function that is returned has it drawn anew. */
export function chartIn(host: Host, name: string, place: HTMLElement): (draw: (chart: Chart) => void) => void {
  let chart: Chart | null = null;
  let asked = false;
  let newest: (chart: Chart) => void;
  const redraw = () => host.later(place, () => chart && newest(chart));
  return (draw) => {
    newest = draw;
    if (place.hidden) return;
    if (chart !== null) return redraw();
    if (asked) return;
    asked = true;
    void host.chart(name, place).then((made) => {
      chart = made;
      redraw();
    });
  };
}
