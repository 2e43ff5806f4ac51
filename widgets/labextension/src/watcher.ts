// Follows the notebook in front, and keeps what is known of the Jupyter kernels of the others.
import type { INotebookTracker, NotebookPanel } from "@jupyterlab/notebook";
import type { Kernel } from "@jupyterlab/services";
import { Token } from "@lumino/coreutils";
import { Signal } from "@lumino/signaling";
import { KernelWatch } from "./kernel";
import { Preferences } from "./preferences";

export class Watcher {
  /** Something that the panel shows is different now. */
  readonly changed = new Signal<this, void>(this);
  readonly preferences = new Preferences();
  notebook: NotebookPanel | null = null;
  watch: KernelWatch | null = null;
  #watches = new WeakMap<Kernel.IKernelConnection, KernelWatch>();
  #viewers = new Set<object>();

  constructor(tracker: INotebookTracker) {
    tracker.widgetAdded.connect((_, panel) => this.#keepWatches(panel));
    tracker.forEach((panel) => this.#keepWatches(panel));
    tracker.currentChanged.connect((_, panel) => this.#front(panel));
    this.#front(tracker.currentWidget);
    document.addEventListener("visibilitychange", () => this.#activate());
  }

  /** Whether somebody can see what is followed: data travels only then. */
  get isShown(): boolean {
    return this.#viewers.size > 0 && !document.hidden;
  }

  /** A viewer can be seen from now on, or can no longer. */
  show(viewer: object, visible: boolean): void {
    if (visible) this.#viewers.add(viewer);
    else this.#viewers.delete(viewer);
    this.#activate();
  }

  /** What is known of the Jupyter kernel of a notebook. */
  watchOf({ sessionContext }: NotebookPanel): KernelWatch | null {
    const kernel = sessionContext.session?.kernel ?? null;
    return kernel === null ? null : this.#watchOf(kernel);
  }

  /** Each Jupyter kernel gets its watch at once, because only a page that knows our comms leaves those of others alone. */
  #keepWatches(panel: NotebookPanel): void {
    const keep = () => void this.watchOf(panel);
    panel.sessionContext.kernelChanged.connect(keep);
    keep();
  }

  #front(panel: NotebookPanel | null): void {
    if (this.notebook !== null) Signal.disconnectBetween(this.notebook.sessionContext, this);
    this.notebook = panel;
    panel?.sessionContext.kernelChanged.connect(this.#kernelChanged, this);
    this.#kernelChanged();
  }

  #kernelChanged(): void {
    const watch = this.notebook === null ? null : this.watchOf(this.notebook);
    if (watch !== this.watch) {
      if (this.watch !== null) this.watch.active = false;
      this.watch = watch;
      this.#activate();
    }
    this.changed.emit();
  }

  #watchOf(kernel: Kernel.IKernelConnection): KernelWatch {
    const known = this.#watches.get(kernel);
    if (known !== undefined) return known;
    const watch = new KernelWatch(kernel);
    watch.changed.connect(() => watch === this.watch && this.changed.emit());
    this.#watches.set(kernel, watch);
    return watch;
  }

  #activate(): void {
    if (this.watch !== null) this.watch.active = this.isShown;
  }
}

export const IWatcher = new Token<Watcher>("deepseek-workbench:IWatcher", "Follows the training in the notebook in front.");
