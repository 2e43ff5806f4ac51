// What can be asked for about run files: of the file browser, of an open run, of the run that is followed.
import type { JupyterFrontEnd } from "@jupyterlab/application";
import type { WidgetTracker } from "@jupyterlab/apputils";
import { PathExt } from "@jupyterlab/coreutils";
import type { IDocumentManager } from "@jupyterlab/docmanager";
import { FileDialog, type IFileBrowserFactory } from "@jupyterlab/filebrowser";
import type { ITranslator, TranslationBundle } from "@jupyterlab/translation";
import { refreshIcon } from "@jupyterlab/ui-components";
import { OPEN_REPORT, OPEN_RUN, told } from "./commands";
import { FACTORY, type RunDocument, SUFFIX } from "./documents";
import { Page, type Subject, showPage } from "./pages";
import type { RunServer } from "./server";
import type { Watcher } from "./watcher";

export const SHOW_PAGE = "deepseek-workbench:show-page";
export const COMPARE_WITH = "deepseek-workbench:compare-with";
const COMPARE_SELECTED = "deepseek-workbench:compare-selected";
const REFRESH = "deepseek-workbench:refresh-run";

export interface Surroundings {
  app: JupyterFrontEnd;
  server: RunServer;
  runs: WidgetTracker<RunDocument>;
  pages: WidgetTracker<Page>;
  manager: IDocumentManager;
  translator: ITranslator;
  trans: TranslationBundle;
  watcher: Watcher | null;
  browsers: IFileBrowserFactory | null;
}

/** Adds the commands; returns those for the palette. */
export function addRunCommands(all: Surroundings): string[] {
  const { app, server, runs, pages, trans, browsers } = all;
  const { commands, shell } = app;
  const front = () => (shell.currentWidget === runs.currentWidget ? runs.currentWidget : null);
  const selected = () => [...(browsers?.tracker.currentWidget?.selectedItems() ?? [])].map(({ path }) => path);

  commands.addCommand(SHOW_PAGE, {
    label: trans.__("Show report"),
    execute: (args) => {
      const page = new Page(server, subjectOf(args), trans);
      void pages.add(page);
      showPage(shell, page);
    },
  });
  commands.addCommand(OPEN_REPORT, {
    label: trans.__("Open report"),
    caption: trans.__("Show the report of this run, which can be saved as one file"),
    isEnabled: (args) => args["selected"] === true || front() !== null || followed(all) !== undefined,
    execute: (args) => told(report(all, args["selected"] === true ? selected()[0] : front()?.context.localPath)),
  });
  commands.addCommand(COMPARE_WITH, {
    label: trans.__("Compare with…"),
    caption: trans.__("Compare this run with another one: which layer differs first"),
    isEnabled: () => front() !== null,
    execute: () => told(compareWith(all, front()?.context.localPath)),
  });
  commands.addCommand(COMPARE_SELECTED, {
    label: trans.__("Compare runs"),
    isVisible: () => selected().length === 2 && selected().every((path) => path.endsWith(SUFFIX)),
    execute: () => commands.execute(SHOW_PAGE, { a: selected()[0]!, b: selected()[1]! }),
  });
  commands.addCommand(REFRESH, {
    label: (args) => (args["toolbar"] ? "" : trans.__("Refresh run")),
    caption: trans.__("Show what the run file holds by now"),
    icon: refreshIcon,
    isEnabled: () => front() !== null,
    execute: () => front()?.content.refresh(),
  });
  commands.addCommand(OPEN_RUN, {
    label: trans.__("Open run"),
    execute: (args) => told(openRun(all, String(args["file"] ?? ""))),
  });
  const changed = () => [OPEN_REPORT, COMPARE_WITH, REFRESH].forEach((id) => commands.notifyCommandChanged(id));
  runs.currentChanged.connect(changed);
  all.watcher?.changed.connect(() => commands.notifyCommandChanged(OPEN_REPORT));
  return [OPEN_REPORT, COMPARE_WITH, REFRESH];
}

function subjectOf({ a, b }: { a?: unknown; b?: unknown }): Subject {
  return { a: String(a), ...(b !== undefined && { b: String(b) }) };
}

/** The run file of the training in the notebook in front, as its Jupyter kernel names it. */
function followed({ watcher }: Surroundings): string | undefined {
  return watcher?.watch?.run?.session.path;
}

async function report(all: Surroundings, path: string | undefined): Promise<void> {
  const a = path ?? (await all.server.place(followed(all) ?? ""));
  await all.app.commands.execute(SHOW_PAGE, { a });
}

async function compareWith({ app, manager, translator, trans }: Surroundings, a: string | undefined): Promise<void> {
  if (a === undefined) return;
  const { button, value } = await FileDialog.getOpenFiles({
    manager,
    translator,
    title: trans.__("Compare %1 with", PathExt.basename(a)),
    defaultPath: PathExt.dirname(a),
    filter: ({ name, type, path }) => (type === "directory" || (name.endsWith(SUFFIX) && path !== a) ? {} : null),
  });
  const chosen = value?.find(({ type }) => type !== "directory");
  if (button.accept && chosen !== undefined) await app.commands.execute(SHOW_PAGE, { a, b: chosen.path });
}

async function openRun({ app, server }: Surroundings, file: string): Promise<void> {
  await app.commands.execute("docmanager:open", { path: await server.place(file), factory: FACTORY });
}
