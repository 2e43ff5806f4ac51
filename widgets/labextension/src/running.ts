// The living inspections of all open notebooks, in the list of what runs.
import type { JupyterFrontEnd } from "@jupyterlab/application";
import { Dialog, showDialog } from "@jupyterlab/apputils";
import type { INotebookTracker, NotebookPanel } from "@jupyterlab/notebook";
import type { IRunningSessions } from "@jupyterlab/running";
import type { TranslationBundle } from "@jupyterlab/translation";
import { Signal } from "@lumino/signaling";
import { formatInteger } from "../../frontend/src/format";
import type { SessionInfo } from "../../frontend/src/generated/requests";
import { SHOW } from "./commands";
import { icon } from "./icon";
import type { KernelWatch } from "./kernel";
import type { Watcher } from "./watcher";

/** How often the Jupyter kernels are asked while the list is seen. */
const LOOK_MS = 3000;

/** The sidebar of JupyterLab that shows the list. */
const SIDEBAR = "jp-running-sessions";

interface Inspection {
  panel: NotebookPanel;
  watch: KernelWatch;
  session: SessionInfo;
}

export class Inspections implements IRunningSessions.IManager {
  readonly name: string;
  readonly runningChanged = new Signal<this, void>(this);
  readonly shutdownLabel: string;
  readonly shutdownAllLabel: string;
  readonly shutdownAllConfirmationText: string;
  #app: JupyterFrontEnd;
  #tracker: INotebookTracker;
  #watcher: Watcher;
  #trans: TranslationBundle;

  constructor(app: JupyterFrontEnd, tracker: INotebookTracker, watcher: Watcher, trans: TranslationBundle) {
    this.#app = app;
    this.#tracker = tracker;
    this.#watcher = watcher;
    this.#trans = trans;
    this.name = trans.__("Inspections");
    this.shutdownLabel = trans.__("Stop training");
    this.shutdownAllLabel = trans.__("Stop all trainings");
    this.shutdownAllConfirmationText = trans.__("Stop all inspected trainings after the step in progress?");
    window.setInterval(() => this.#isSeen() && this.refreshRunning(), LOOK_MS);
  }

  running(): IRunningSessions.IRunningItem[] {
    return this.#inspections().map((inspection) => this.#item(inspection));
  }

  refreshRunning(): void {
    const looks = this.#watches().map(({ watch }) => watch.refresh());
    void Promise.allSettled(looks).then(() => this.runningChanged.emit());
  }

  /** JupyterLab has asked already. */
  shutdownAll(): void {
    for (const { watch, session } of this.#inspections()) void watch.stop(session.key).catch(() => {});
  }

  #item({ panel, watch, session }: Inspection): IRunningSessions.IRunningItem {
    const { title, state, step, path } = session;
    return {
      icon: () => icon,
      label: () => title,
      labelTitle: () => `${panel.title.label}\n${path}`,
      detail: () => this.#trans.__("step %1, %2", formatInteger(step), state),
      context: "deepseek-inspection",
      open: () => {
        this.#app.shell.activateById(panel.id);
        watch.choose(session.key);
        void this.#app.commands.execute(SHOW);
      },
      shutdown: () => void this.#stop(watch, session),
    };
  }

  async #stop(watch: KernelWatch, { key, title }: SessionInfo): Promise<void> {
    const { button } = await showDialog({
      title: this.#trans.__("Stop the training of %1?", title),
      body: this.#trans.__("It ends after the step in progress; what was recorded is kept."),
      buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: this.#trans.__("Stop training") })],
    });
    if (!button.accept) return;
    await watch.stop(key).catch(() => {});
    this.refreshRunning();
  }

  #inspections(): Inspection[] {
    return this.#watches().flatMap(({ panel, watch }) => watch.sessions.map((session) => ({ panel, watch, session })));
  }

  #watches(): { panel: NotebookPanel; watch: KernelWatch }[] {
    const found: { panel: NotebookPanel; watch: KernelWatch }[] = [];
    this.#tracker.forEach((panel) => {
      const watch = this.#watcher.watchOf(panel);
      if (watch !== null && !found.some((one) => one.watch === watch)) found.push({ panel, watch });
    });
    return found;
  }

  #isSeen(): boolean {
    if (document.hidden) return false;
    for (const side of ["left", "right"]) {
      for (const widget of this.#app.shell.widgets(side)) if (widget.id === SIDEBAR) return widget.isVisible;
    }
    return false;
  }
}
