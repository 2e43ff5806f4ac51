// Asks the workbench's part of the Jupyter server for runs and reports; its answers are checked by whoever shows them.
import { URLExt } from "@jupyterlab/coreutils";
import { ServerConnection } from "@jupyterlab/services";
import { type Bokeh, loadBokeh } from "../../frontend/src/bokeh";

export interface RunData {
  /** Changes when the run has grown. */
  version: string;
  setup: unknown;
  charts: unknown;
  messages: { message: unknown; payload: string }[];
}

const NO_EXTENSION =
  "The Jupyter server does not know DeepSeek Workbench: install deepseek-workbench where the server runs, and restart it.";

/** Fails with errors whose messages are for the user. Paths are those of the file browser. */
export class RunServer {
  #settings: ServerConnection.ISettings;
  #bokeh: Promise<Bokeh> | null = null;

  constructor(settings: ServerConnection.ISettings) {
    this.#settings = settings;
  }

  /** A run, or null if it still is of the version that is known. */
  async run(path: string, known: string): Promise<RunData | null> {
    const response = await this.#get("run", { path, known });
    return response.status === 204 ? null : ((await response.json()) as RunData);
  }

  /** The text of the report of a run, or of the comparison of two. */
  async page(a: string, b?: string): Promise<string> {
    const response = b === undefined ? this.#get("report", { path: a }) : this.#get("comparison", { a, b });
    return (await response).text();
  }

  /** The path of a run file that a Jupyter kernel has named. */
  async place(file: string): Promise<string> {
    const { path } = (await (await this.#get("place", { file })).json()) as { path: unknown };
    return String(path);
  }

  /** BokehJS as the server's charts need it; fetched once. */
  bokeh(): Promise<Bokeh> {
    this.#bokeh ??= this.#get("bokeh", {})
      .then((response) => response.text())
      .then(loadBokeh);
    this.#bokeh.catch(() => (this.#bokeh = null));
    return this.#bokeh;
  }

  async #get(route: string, query: Record<string, string>): Promise<Response> {
    const address = URLExt.join(this.#settings.baseUrl, "deepseek-workbench", route);
    const response = await ServerConnection.makeRequest(address + URLExt.objectToQueryString(query), {}, this.#settings);
    if (!response.ok) throw new Error(await reason(response));
    return response;
  }
}

async function reason(response: Response): Promise<string> {
  const said: unknown = await response.json().catch(() => null);
  const message = (said as { message?: unknown } | null)?.message;
  if (typeof message === "string") return message;
  return response.status === 404 ? NO_EXTENSION : `The Jupyter server answered: ${response.status} ${response.statusText}`;
}
