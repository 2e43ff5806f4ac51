// The plugins: each one small, each one optional apart from the panel.
import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette } from "@jupyterlab/apputils";
import { INotebookTracker } from "@jupyterlab/notebook";
import { IStatusBar } from "@jupyterlab/statusbar";
import { ITranslator, nullTranslator } from "@jupyterlab/translation";
import { SHOW, addShowCommand, addToPalette, addTrainingCommands } from "./commands";
import { Panel } from "./panel";
import { StatusItem } from "./status";
import { IWatcher, Watcher } from "./watcher";

const DOMAIN = "deepseek_workbench";

const panel: JupyterFrontEndPlugin<Watcher> = {
  id: "deepseek-workbench:panel",
  description: "A panel that shows the training in the notebook in front.",
  autoStart: true,
  provides: IWatcher,
  requires: [INotebookTracker],
  optional: [ITranslator, ILayoutRestorer, ICommandPalette],
  activate(
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
  ): Watcher {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const watcher = new Watcher(tracker);
    const widget = new Panel(watcher, app.commands, trans);
    app.shell.add(widget, "right", { rank: 900, type: "DeepSeek Workbench" });
    restorer?.add(widget, widget.id);
    addShowCommand(app, widget, trans);
    if (palette !== null) addToPalette(palette, [SHOW]);
    return watcher;
  },
};

const commands: JupyterFrontEndPlugin<void> = {
  id: "deepseek-workbench:commands",
  description: "Commands that the training in the notebook in front obeys.",
  autoStart: true,
  requires: [IWatcher],
  optional: [ITranslator, ICommandPalette],
  activate(app: JupyterFrontEnd, watcher: Watcher, translator: ITranslator | null, palette: ICommandPalette | null) {
    const ids = addTrainingCommands(app, watcher, (translator ?? nullTranslator).load(DOMAIN));
    if (palette !== null) addToPalette(palette, ids);
  },
};

const status: JupyterFrontEndPlugin<void> = {
  id: "deepseek-workbench:status",
  description: "Step, speed and number of findings in the status bar.",
  autoStart: true,
  requires: [IWatcher],
  optional: [IStatusBar, ITranslator],
  activate(_: JupyterFrontEnd, watcher: Watcher, statusBar: IStatusBar | null, translator: ITranslator | null) {
    if (statusBar === null) return;
    const item = new StatusItem(watcher, (translator ?? nullTranslator).load(DOMAIN));
    statusBar.registerStatusItem(status.id, { item, align: "middle" });
  },
};

export default [panel, commands, status];
