// BokehJS, as far as it is used here, and its loading: once per page and version, beside other copies.

export interface Model {
  setv(properties: Record<string, unknown>): void;
  on_event(name: string, callback: (event: PointEvent) => void): void;
  references(): Set<Model>;
  [property: string]: unknown;
}

export interface PointEvent {
  x: number;
  y: number;
  sx: number;
  sy: number;
}

export interface BokehDocument {
  get_model_by_name(name: string): Model | null;
  clear(): void;
}

interface ViewManager {
  roots: Iterable<{ model: Model & { document: BokehDocument } }>;
  clear(): void;
}

export interface Bokeh {
  version: string;
  documents: BokehDocument[];
  embed: { embed_item(item: unknown, target: HTMLElement): Promise<ViewManager> };
  require(module: string): Record<string, (...args: never[]) => unknown>;
  set_log_level(level: string): void;
}

interface Page {
  Bokeh?: Bokeh;
  define?: unknown;
  [LOADED]?: Map<string, Bokeh>;
}

const LOADED = Symbol.for("deepseek-workbench.bokeh");

/** Evaluates the text of BokehJS unless the page has done so before. */
export function loadBokeh(source: string): Bokeh {
  const page = window as unknown as Page;
  const loaded = (page[LOADED] ??= new Map());
  const key = source.length.toString();
  const known = loaded.get(key);
  if (known !== undefined) return known;
  const { Bokeh: other, define } = page;
  // BokehJS registers itself as an AMD module where it finds a loader, and would then not be found here.
  delete page.define;
  delete page.Bokeh;
  const script = document.createElement("script");
  // Each of its plots would listen to the visual viewport for ever, and so be kept for ever: here there is none to see.
  script.textContent = `(function (visualViewport) {${source}\n}).call(window, null);`;
  document.head.append(script);
  script.remove();
  const bokeh = (window as unknown as Page).Bokeh;
  if (define !== undefined) page.define = define;
  if (other !== undefined) page.Bokeh = other;
  if (bokeh === undefined) throw new Error("BokehJS could not be started in this page.");
  bokeh.set_log_level("error");
  loaded.set(key, bokeh);
  return bokeh;
}

export interface Chart {
  bokeh: Bokeh;
  document: BokehDocument;
  figure: Model;
  remove(): void;
}

/** Draws a document into an element. */
export async function embed(bokeh: Bokeh, item: unknown, target: HTMLElement): Promise<Chart> {
  const views = await bokeh.embed.embed_item(structuredClone(item), target);
  const [root] = [...views.roots];
  if (root === undefined) throw new Error("The chart is empty.");
  const { document } = root.model;
  return {
    bokeh,
    document,
    figure: root.model,
    remove: () => {
      views.clear();
      document.clear();
      // BokehJS itself never forgets a document.
      const known = bokeh.documents.indexOf(document);
      if (known >= 0) bokeh.documents.splice(known, 1);
    },
  };
}

/** The model of that name; charts are made by us, so a missing one is a mistake of ours. */
export function named(chart: Chart, name: string): Model {
  const model = chart.document.get_model_by_name(name);
  if (model === null) throw new Error(`The chart holds nothing named ${name}.`);
  return model;
}

/** Text that is drawn as it stands: a plain string would be searched for formulas. */
export function plainText(bokeh: Bokeh, text: string): unknown {
  const { PlainText } = bokeh.require("models/text/plain_text") as unknown as {
    PlainText: new (attributes: { text: string }) => unknown;
  };
  return new PlainText({ text });
}
