// What the panel knows of one Jupyter kernel: its sessions, the run that it follows, or why there is none.
import type { Kernel, KernelMessage } from "@jupyterlab/services";
import { Signal } from "@lumino/signaling";
import { type Bokeh, loadBokeh } from "../../frontend/src/bokeh";
import { type ChartSource, type Coming, coming } from "../../frontend/src/charts";
import { Control } from "../../frontend/src/control";
import type { Charts, Setup } from "../../frontend/src/generated/messages";
import type { Command, SessionInfo } from "../../frontend/src/generated/requests";
import { isAttentionMessage, isAttributionMessage, isCharts, isSetup } from "../../frontend/src/generated/validate";
import { Store } from "../../frontend/src/store";
import { acquaint } from "./acquaint";
import type { Absence } from "./empty";

/** How often a Jupyter kernel that runs a cell is asked for its sessions, while none is followed. */
const POLL_MS = 500;

/** A cell has run so long before it is asked first: inspections mostly begin at the beginning, and later it is asked less often. */
const FIRST_MS = 50;
const SLOWER = 1.5;

/** How soon the next look follows one that is still under way. */
const AGAIN_MS = 50;

/** How often while one is followed: another may begin beside it. */
const FOLLOWING_MS = 5000;

/** How often at least, where it does not know us: it notes every refusal in its log. */
const REFUSED_MS = 4000;

/** An explanation as it came. */
export interface Explained {
  readonly message: unknown;
  readonly payload: DataView;
}

export interface Run {
  readonly session: SessionInfo;
  readonly control: Control;
  readonly store: Store;
  readonly setup: Setup;
  readonly charts: Coming<ChartSource>;
  /** The newest explanation of its weights. */
  explained: Explained | null;
}

export class KernelWatch {
  readonly changed = new Signal<this, void>(this);
  readonly kernel: Kernel.IKernelConnection;
  sessions: readonly SessionInfo[] = [];
  /** The newest run; it stays when its session has ended. */
  run: Run | null = null;
  absence: Absence = "connecting";
  /** When the Jupyter kernel of the shown run was restarted. */
  restartedAt: Date | null = null;
  #control: Control;
  #active = false;
  #busy: boolean;
  #looking = false;
  #pause = POLL_MS;
  #timer = 0;
  /** Counts what makes an answer that is still under way worthless. */
  #era = 0;
  #bokeh: Bokeh | null = null;
  #stream: { key: string; end: () => void } | null = null;
  #newest = "";
  #chosen = "";
  /** Until then a Jupyter kernel that did not know us is left alone. */
  #strangeUntil = 0;

  constructor(kernel: Kernel.IKernelConnection) {
    this.kernel = kernel;
    this.#control = Control.connect(kernel);
    this.#busy = kernel.status === "busy";
    kernel.statusChanged.connect(this.#statusChanged, this);
    kernel.connectionStatusChanged.connect(this.#connectionChanged, this);
    kernel.iopubMessage.connect(this.#heard, this);
    kernel.disposed.connect(this.#end, this);
  }

  get isConnected(): boolean {
    return this.kernel.connectionStatus === "connected";
  }

  get isBusy(): boolean {
    return this.#busy;
  }

  /** Whether the training that commands go to is held. */
  get isPaused(): boolean {
    const followed = this.#stream !== null ? this.run?.store.state?.header.state : undefined;
    return (followed ?? this.#wanted(this.sessions)?.state) === "paused";
  }

  /** Whether somebody looks; only then is the Jupyter kernel asked, and only then does it send. */
  set active(active: boolean) {
    if (active === this.#active) return;
    this.#active = active;
    if (active) this.#soon(0);
    else this.#leave();
  }

  /** Follows this session until a newer one begins. */
  choose(key: string): void {
    this.#chosen = key;
    this.#soon(0);
  }

  /** Hands a command to the session that is followed; rejects with an error whose message is for the user. */
  async command(command: Command): Promise<void> {
    await this.#control.command(this.#wanted(await this.#control.sessions())?.key ?? "", command);
  }

  /** Pauses the training, or lets it go on. */
  async toggle(): Promise<void> {
    const wanted = this.#wanted(await this.#control.sessions());
    await this.#control.command(wanted?.key ?? "", { verb: wanted?.state === "paused" ? "resume" : "pause" });
  }

  /** Ends the training of a session after the step in progress. */
  stop(key: string): Promise<void> {
    return this.#control.command(key, { verb: "stop" });
  }

  /** Asks for the sessions without following one. */
  async refresh(): Promise<void> {
    if (!this.isConnected || this.kernel.isDisposed || performance.now() < this.#strangeUntil) return;
    const era = this.#era;
    try {
      if (((await this.kernel.spec)?.language ?? "python") !== "python") return;
      await acquaint(this.kernel);
      const sessions = await this.#control.sessions();
      if (era !== this.#era) return;
      this.sessions = sessions;
      this.changed.emit();
    } catch {
      this.#strangeUntil = performance.now() + REFUSED_MS;
    }
  }

  #soon(pause: number): void {
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => void this.#look(), pause);
  }

  /** Asks for the sessions and follows the one that is wanted; again soon while a cell runs. */
  async #look(): Promise<void> {
    if (!this.#active || !this.isConnected || this.kernel.isDisposed) return;
    if (this.#looking) return this.#soon(AGAIN_MS);
    this.#looking = true;
    const era = this.#era;
    try {
      const absence = await this.#follow(era);
      if (era === this.#era) this.#found(absence, Math.min(SLOWER * this.#pause, POLL_MS));
    } catch {
      const absence = this.kernel.supportsSubshells || !this.#busy ? "no-deepseek" : "no-subshell";
      if (era === this.#era) this.#found(absence, Math.min(2 * Math.max(this.#pause, POLL_MS), REFUSED_MS));
    } finally {
      this.#looking = false;
    }
    if (this.#stream !== null) this.#soon(FOLLOWING_MS);
    else if (this.#busy) this.#soon(this.#pause);
  }

  #found(absence: Absence, pause: number): void {
    this.absence = absence;
    this.#pause = pause;
    this.changed.emit();
  }

  /** Gives what stands in the way, if there is no run to show. */
  async #follow(era: number): Promise<Absence> {
    const language = (await this.kernel.spec)?.language;
    if (language !== undefined && language !== "python") return "other-language";
    await acquaint(this.kernel);
    const sessions = await this.#control.sessions();
    if (era !== this.#era) return "connecting";
    this.sessions = sessions;
    const wanted = this.#wanted(sessions);
    if (wanted !== undefined && wanted.key !== this.#stream?.key) await this.#listen(wanted, era);
    return "no-session";
  }

  /** The newest session, unless the user chose another one since it began. */
  #wanted(sessions: readonly SessionInfo[]): SessionInfo | undefined {
    const newest = sessions.at(-1);
    if (newest !== undefined && newest.key !== this.#newest) [this.#newest, this.#chosen] = [newest.key, ""];
    return sessions.find(({ key }) => key === this.#chosen) ?? newest;
  }

  async #listen(session: SessionInfo, era: number): Promise<void> {
    this.#stream?.end();
    this.#stream = null;
    const ended = () => {
      if (this.#stream?.key !== session.key) return;
      this.#stream = null;
      if (this.#active) this.#soon(POLL_MS);
    };
    const take = (message: unknown, payload: DataView) => this.#take(session, message, payload);
    const end = await this.#control.follow(session.key, take, ended, this.#bokeh === null);
    if (era === this.#era) this.#stream = { key: session.key, end };
    else end();
  }

  #take(session: SessionInfo, message: unknown, payload: DataView): void {
    if (isSetup(message)) return this.#begin(session, message);
    if (this.run?.session.key !== session.key) return;
    if (isCharts(message)) this.#draw(this.run, message, payload);
    else if (isAttributionMessage(message) || isAttentionMessage(message)) this.#explain(this.run, { message, payload });
    else this.run.store.receive(message, payload);
  }

  #draw({ charts }: Run, { documents }: Charts, program: DataView): void {
    this.#bokeh ??= loadBokeh(new TextDecoder().decode(program));
    charts.resolve({ bokeh: this.#bokeh, documents });
  }

  /** A new stream of the same run brings the newest explanation again. */
  #explain(run: Run, explained: Explained): void {
    if (JSON.stringify(run.explained?.message) === JSON.stringify(explained.message)) return;
    run.explained = explained;
    this.changed.emit();
  }

  #begin(session: SessionInfo, setup: Setup): void {
    this.restartedAt = null;
    if (this.run?.session.key === session.key) {
      // The same run on a new stream, which counts its messages from the start.
      const { store } = this.run;
      if (store.state !== null) store.state = { ...store.state, sequence: -1 };
      return;
    }
    const store = new Store();
    store.subscribe(() => this.changed.emit());
    this.run = { session, control: this.#control, store, setup, charts: coming(), explained: null };
    this.changed.emit();
  }

  #leave(): void {
    this.#era += 1;
    window.clearTimeout(this.#timer);
    this.#stream?.end();
    this.#stream = null;
  }

  #heard(_: unknown, message: KernelMessage.IIOPubMessage): void {
    const executes = (message.parent_header as Partial<KernelMessage.IHeader>).msg_type === "execute_request";
    const state = message.header.msg_type === "status" && (message as KernelMessage.IStatusMsg).content.execution_state;
    if (!executes || !state) return;
    this.#busy = state === "busy";
    this.#pause = FIRST_MS;
    this.#soon(FIRST_MS);
  }

  #statusChanged(_: unknown, status: Kernel.Status): void {
    if (status !== "restarting" && status !== "autorestarting") return;
    this.#leave();
    this.#busy = false;
    this.sessions = [];
    this.#freeze();
    this.absence = "no-deepseek";
    this.changed.emit();
  }

  /** Keeps the last view of a run whose process is gone. */
  #freeze(): void {
    const state = this.run?.store.state;
    if (this.run === null || !state) return;
    this.restartedAt = new Date();
    const store = new Store();
    const ended = state.header.state === "closed" ? "closed" : "interrupted";
    store.state = { ...state, header: { ...state.header, state: ended } };
    this.run = { ...this.run, store };
  }

  #connectionChanged(): void {
    this.#leave();
    if (this.isConnected) this.#soon(0);
    else this.absence = "disconnected";
    this.changed.emit();
  }

  #end(): void {
    this.#active = false;
    this.#leave();
    Signal.clearData(this);
  }
}
