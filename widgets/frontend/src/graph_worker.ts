// The layout of graphs in a thread of its own.
import type { Cache } from "./graph_arrange";
import { place, type Request } from "./graph_layout";

const thread = globalThis as unknown as {
  onmessage: (event: MessageEvent<Request>) => void;
  postMessage(message: unknown): void;
};
const cache: Cache = new Map();
thread.onmessage = ({ data }) => thread.postMessage(place(data, cache));
