// Has graphs laid out beside the page, or in it where no thread may start.
/// <reference path="./worker_text.d.ts" />
import type { Cache } from "./graph_arrange";
import { type Layout, place, type Request } from "./graph_layout";
import source from "worker:./graph_worker.ts";

export class Layouter {
  #worker: Worker | null = null;
  #cache: Cache = new Map();
  #waiting: { request: Request; done: (layout: Layout) => void }[] = [];

  constructor() {
    const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    try {
      this.#worker = new Worker(address);
      this.#worker.onmessage = ({ data }: MessageEvent<Layout>) => this.#waiting.shift()?.done(data);
      // Also the answer to a page whose policy forbids it.
      this.#worker.onerror = () => this.#stayInThePage();
    } catch {
      this.#worker = null;
    }
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }

  /** Whether a thread does the work. */
  get threaded(): boolean {
    return this.#worker !== null;
  }

  layout(request: Request): Promise<Layout> {
    if (this.#worker === null) return Promise.resolve(place(request, this.#cache));
    this.#worker.postMessage(request);
    return new Promise((done) => this.#waiting.push({ request, done }));
  }

  close(): void {
    this.#worker?.terminate();
  }

  #stayInThePage(): void {
    this.close();
    this.#worker = null;
    for (const { request, done } of this.#waiting.splice(0)) done(place(request, this.#cache));
  }
}
