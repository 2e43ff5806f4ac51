// The way to the sessions of a Jupyter kernel that works while a cell runs: a comm that the browser opens, whose messages
// a subshell of the Jupyter kernel answers. Knows neither anywidget nor JupyterLab.
import type { Command, SessionInfo } from "./generated/requests";
import { isAnswer, isEnd, isSessionsReply } from "./generated/validate";

/** What is needed of a kernel connection; the one of JupyterLab fits. */
export interface KernelConnection {
  readonly info: Promise<unknown>;
  /** Missing in front ends that know no subshells. */
  readonly supportsSubshells?: boolean;
  createComm(target: string): Comm;
}

/** What is needed of a comm; the one of JupyterLab fits. */
export interface Comm {
  readonly commId: string;
  readonly isDisposed: boolean;
  readonly subshellStarted?: Promise<void>;
  onMsg(message: CommMessage): void | PromiseLike<void>;
  onClose(message: CommMessage): void | PromiseLike<void>;
  open(): unknown;
  /** Takes JSON, for which each host has a type of its own. */
  send(data: any): unknown;
  dispose(): void;
}

export interface CommMessage {
  content: { data?: unknown };
  buffers?: (ArrayBuffer | ArrayBufferView)[];
}

/** Takes the messages of a session as the notebook widget gets them: `setup`, `snapshot`, `increment`. */
export type Listener = (message: unknown, payload: DataView) => void;

interface Reply {
  error?: string | null;
  sessions?: SessionInfo[];
}

const CONTROL = "deepseek.control";
const STREAM = "deepseek.stream";

/** A subshell answers within milliseconds, but a computation that holds the interpreter may keep it from that. */
const PATIENCE_MS = 5000;

/** While something is followed, so often the page says that it is still there. */
const SIGN_OF_LIFE_MS = 30_000;

const OLD_FRONT_END =
  "The Jupyter kernel did not answer. A front end that reaches it while it runs a cell helps: pip install -U jupyterlab, then reload the page.";
const OLD_KERNEL =
  "The Jupyter kernel answers between cells and between training steps only: pip install -U ipykernel, then restart the kernel.";
const NO_ANSWER = "The Jupyter kernel did not answer: if it is not just busy, run %load_ext deepseek in it.";

/** What the Jupyter kernel answered to a request that it did not take up. */
class Refusal extends Error {}

/** Speaks with the sessions of one Jupyter kernel; a failed request rejects with an `Error` whose message is for the user. */
export class Control {
  static #known = new WeakMap<KernelConnection, Control>();
  #kernel: KernelConnection;
  #comm: Promise<Comm> | null = null;
  #waiting = new Map<number, (reply: Reply) => void>();
  #requests = 0;
  /** Whether anything came over the comm. */
  #heard = false;
  /** Times that it was asked for the sessions over comms of which nothing was heard. */
  #unanswered = 0;
  #streams = new Set<Comm>();
  #timer: ReturnType<typeof setInterval> | undefined;

  private constructor(kernel: KernelConnection) {
    this.#kernel = kernel;
  }

  /** The control over a kernel connection, always the same one; nothing is sent before the first request. */
  static connect(kernel: KernelConnection): Control {
    let control = Control.#known.get(kernel);
    if (control === undefined) Control.#known.set(kernel, (control = new Control(kernel)));
    return control;
  }

  /** The sessions that are not closed, oldest first. */
  async sessions(): Promise<SessionInfo[]> {
    try {
      return (await this.#request({ type: "sessions" })).sessions ?? [];
    } catch (error) {
      if (!this.#heard && !(error instanceof Refusal)) this.#giveUp();
      throw error;
    }
  }

  /** Hands a command to a session, which obeys it between two steps. */
  async command(session: string, command: Command): Promise<void> {
    await this.#request({ type: "command", session, command });
  }

  /**
   * Listens to a session, from its setup message on; the function that is returned ends it.
   *
   * With `bokeh`, BokehJS comes with the charts: a page needs it once.
   * `ended` is told why when the stream ends otherwise. A Jupyter kernel that dies or restarts ends it in silence.
   */
  async follow(
    session: string,
    listener: Listener,
    ended: (reason: string) => void = () => {},
    bokeh = false,
  ): Promise<() => void> {
    const comm = this.#kernel.createComm(STREAM);
    // It is opened by nobody and carries nothing from here, so it needs no subshell.
    setSubshells(comm, "disabled");
    let wanted = true;
    const leave = () => {
      wanted = false;
      this.#forget(comm);
      comm.dispose();
    };
    comm.onMsg = ({ content: { data }, buffers }) => {
      if (!wanted) return;
      if (!isEnd(data)) return listener(data, asView(buffers?.[0]));
      leave();
      ended(data.reason);
    };
    this.#streams.add(comm);
    this.#timer ??= setInterval(() => void this.sessions().catch(() => {}), SIGN_OF_LIFE_MS);
    try {
      await this.#request({ type: "follow", session, stream: comm.commId, ...(bokeh && { bokeh }) });
    } catch (error) {
      leave();
      // One that was not answered in time may yet be obeyed.
      if (!(error instanceof Refusal)) this.#request({ type: "unfollow", stream: comm.commId }).catch(() => {});
      throw error;
    }
    return () => {
      if (!comm.isDisposed) this.#request({ type: "unfollow", stream: comm.commId }).catch(() => {});
      leave();
    };
  }

  /** Says whether this page sees a view, which need not be told anything while no page does. */
  tellSeen(view: string, sees: boolean): void {
    this.#request({ type: "seen", view, sees }).catch(() => {});
  }

  /** Ends what is computed for the view of an explanation. */
  async cancel(view: string): Promise<void> {
    await this.#request({ type: "cancel", view });
  }

  #forget(comm: Comm): void {
    this.#streams.delete(comm);
    if (this.#streams.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #request(request: object): Promise<Reply> {
    const id = (this.#requests += 1);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const reply = new Promise<Reply>((resolve, reject) => {
      this.#waiting.set(id, resolve);
      timer = setTimeout(() => reject(new Error(this.#silence)), PATIENCE_MS);
      this.#opened().then((comm) => this.#sent(comm.send({ ...request, id }))).catch(reject);
    });
    try {
      const { error, ...rest } = await reply;
      if (error) throw new Refusal(error);
      return rest;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  /**
   * Has another comm opened next time, where nothing was heard.
   *
   * The opening of this one may wait, out of everybody's reach, until the cell ends. It is tried ever more seldom,
   * because a Jupyter kernel that is busy with something else gets all of them in the end.
   */
  #giveUp(): void {
    this.#unanswered += 1;
    if (Number.isInteger(Math.log2(this.#unanswered))) this.#comm = null;
  }

  /** The comm; a new one where the last could not be opened or was closed, as after a restart of the Jupyter kernel. */
  async #opened(): Promise<Comm> {
    const last = this.#comm;
    const comm = await last?.catch(() => null);
    if (comm && !comm.isDisposed) return comm;
    if (this.#comm === last || this.#comm === null) this.#comm = this.#open();
    return this.#comm;
  }

  async #open(): Promise<Comm> {
    await this.#kernel.info;
    const comm = this.#kernel.createComm(CONTROL);
    this.#heard = false;
    // Without subshells the session itself looks for requests between two steps.
    setSubshells(comm, this.#kernel.supportsSubshells ? "perCommTarget" : "disabled");
    if (this.#kernel.supportsSubshells) await comm.subshellStarted;
    comm.onMsg = ({ content: { data } }) => {
      [this.#heard, this.#unanswered] = [true, 0];
      if (isAnswer(data) || isSessionsReply(data)) this.#waiting.get(data.id)?.(data);
    };
    comm.onClose = () => {
      for (const answer of this.#waiting.values()) answer({ error: this.#silence });
    };
    this.#sent(comm.open());
    return comm;
  }

  /** Why there may be no answer. */
  get #silence(): string {
    const { supportsSubshells } = this.#kernel;
    if (supportsSubshells === undefined) return OLD_FRONT_END;
    return supportsSubshells ? NO_ANSWER : OLD_KERNEL;
  }

  /** A Jupyter kernel without subshells never tells that it is done with a message: nothing need wait for it. */
  #sent(future: unknown): void {
    if (!this.#kernel.supportsSubshells) (future as { dispose?(): void } | undefined)?.dispose?.();
  }
}

/** Said explicitly, because users can switch the front end's default off. */
function setSubshells(comm: Comm, mode: "perCommTarget" | "disabled"): void {
  (comm as { commsOverSubshells?: string }).commsOverSubshells = mode;
}

function asView(buffer: ArrayBuffer | ArrayBufferView | undefined): DataView {
  if (buffer === undefined) return new DataView(new ArrayBuffer(0));
  return ArrayBuffer.isView(buffer)
    ? new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength)
    : new DataView(buffer);
}

/** The control over the Jupyter kernel of a widget's model; null where its host keeps the connection to itself. */
export function controlOf(model: { widget_manager: unknown }): Control | null {
  const { kernel } = (model.widget_manager ?? {}) as { kernel?: KernelConnection | null };
  return kernel ? Control.connect(kernel) : null;
}
