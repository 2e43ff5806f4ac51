// The plugins: each one small, each one optional apart from the panel.
import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";
import { createToolbarFactory, ICommandPalette, IToolbarWidgetRegistry, MainAreaWidget, WidgetTracker } from "@jupyterlab/apputils";
import { IDocumentManager } from "@jupyterlab/docmanager";
import { IFileBrowserFactory } from "@jupyterlab/filebrowser";
import { INotebookTracker } from "@jupyterlab/notebook";
import { IRunningSessionManagers } from "@jupyterlab/running";
import { ISettingRegistry } from "@jupyterlab/settingregistry";
import { IStatusBar } from "@jupyterlab/statusbar";
import { ITranslator, nullTranslator } from "@jupyterlab/translation";
import { addShowCommands, addToPalette, addTrainingCommands, OPEN_MAIN, OPEN_REPORT, SHOW } from "./commands";
import { addRunDocuments, FACTORY, type RunDocument } from "./documents";
import { icon } from "./icon";
import { openWithInspections } from "./opening";
import type { Page } from "./pages";
import { Panel } from "./panel";
import { addRunCommands, SHOW_PAGE } from "./run_commands";
import { Inspections } from "./running";
import { RunServer } from "./server";
import { StatusItem } from "./status";
import { IWatcher, Watcher } from "./watcher";

const DOMAIN = "deepseek_workbench";
const PANEL = "deepseek-workbench-panel";
const MAIN = "deepseek-workbench-main";

const panel: JupyterFrontEndPlugin<Watcher> = {
  id: "deepseek-workbench:panel",
  description: "A panel that shows the training in the notebook in front.",
  autoStart: true,
  provides: IWatcher,
  requires: [INotebookTracker],
  optional: [ITranslator, ILayoutRestorer, ICommandPalette, ISettingRegistry],
  activate(
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    settings: ISettingRegistry | null,
  ): Watcher {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const watcher = new Watcher(tracker);
    const report = { command: OPEN_REPORT, label: trans.__("Report") };
    const main = { command: OPEN_MAIN, label: trans.__("Open in the main area") };
    const widget = new Panel(PANEL, watcher, app.commands, trans, [report, main]);
    app.shell.add(widget, "right", { rank: 900, type: "DeepSeek Workbench" });
    restorer?.add(widget, widget.id);
    const mains = new WidgetTracker<MainAreaWidget<Panel>>({ namespace: MAIN });
    const openMain = () => {
      if (mains.currentWidget === null) {
        const content = new Panel(`${MAIN}-content`, watcher, app.commands, trans, [report]);
        const opened = new MainAreaWidget({ content });
        opened.id = MAIN;
        opened.toolbar.hide();
        opened.title.label = "DeepSeek";
        opened.title.icon = icon;
        opened.title.closable = true;
        void mains.add(opened);
        app.shell.add(opened, "main", { mode: "split-right" });
      }
      app.shell.activateById(MAIN);
    };
    addToPalette(palette, addShowCommands(app, trans, PANEL, openMain));
    void restorer?.restore(mains, { command: OPEN_MAIN, name: () => MAIN });
    settings?.load(panel.id).then((loaded) => watcher.preferences.follow(loaded), console.warn);
    openWithInspections(watcher, () => void app.commands.execute(SHOW));
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
    addToPalette(palette, addTrainingCommands(app, watcher, (translator ?? nullTranslator).load(DOMAIN)));
  },
};

const runs: JupyterFrontEndPlugin<void> = {
  id: "deepseek-workbench:runs",
  description: "Opens run files, their reports and comparisons of them.",
  autoStart: true,
  requires: [IDocumentManager],
  optional: [
    ITranslator,
    ILayoutRestorer,
    ICommandPalette,
    ISettingRegistry,
    IToolbarWidgetRegistry,
    IFileBrowserFactory,
    IWatcher,
  ],
  activate(
    app: JupyterFrontEnd,
    manager: IDocumentManager,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    settings: ISettingRegistry | null,
    toolbars: IToolbarWidgetRegistry | null,
    browsers: IFileBrowserFactory | null,
    watcher: Watcher | null,
  ) {
    translator ??= nullTranslator;
    const trans = translator.load(DOMAIN);
    const server = new RunServer(app.serviceManager.serverSettings);
    const toolbar = toolbars && settings && createToolbarFactory(toolbars, settings, FACTORY, runs.id, translator);
    const factory = addRunDocuments(app.docRegistry, server, trans, toolbar ?? undefined);
    const opened = new WidgetTracker<RunDocument>({ namespace: "deepseek-workbench-runs" });
    const pages = new WidgetTracker<Page>({ namespace: "deepseek-workbench-pages" });
    factory.widgetCreated.connect((_, widget) => {
      widget.context.pathChanged.connect(() => void opened.save(widget));
      void opened.add(widget);
    });
    const all = { app, server, runs: opened, pages, manager, translator, trans, watcher, browsers };
    addToPalette(palette, addRunCommands(all));
    const name = ({ context }: RunDocument) => context.path;
    const args = (widget: RunDocument) => ({ path: widget.context.path, factory: FACTORY });
    void restorer?.restore(opened, { command: "docmanager:open", args, name });
    void restorer?.restore(pages, { command: SHOW_PAGE, args: ({ subject }) => ({ ...subject }), name: ({ id }) => id });
  },
};

const running: JupyterFrontEndPlugin<void> = {
  id: "deepseek-workbench:running",
  description: "Living inspections in the list of what runs.",
  autoStart: true,
  requires: [INotebookTracker, IWatcher],
  optional: [IRunningSessionManagers, ITranslator],
  activate(
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    watcher: Watcher,
    managers: IRunningSessionManagers | null,
    translator: ITranslator | null,
  ) {
    managers?.add(new Inspections(app, tracker, watcher, (translator ?? nullTranslator).load(DOMAIN)));
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

export default [panel, commands, runs, running, status];
