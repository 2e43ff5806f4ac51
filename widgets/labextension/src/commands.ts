// What can be asked for from the palette, the toolbars, the menus and the keyboard, about the notebook in front.
import type { JupyterFrontEnd } from "@jupyterlab/application";
import { type ICommandPalette, Notification } from "@jupyterlab/apputils";
import type { TranslationBundle } from "@jupyterlab/translation";
import { inspectorIcon, pauseIcon, runIcon } from "@jupyterlab/ui-components";
import { icon } from "./icon";
import { inspectModel } from "./inspect";
import type { Watcher } from "./watcher";

export const SHOW = "deepseek-workbench:show";
export const OPEN_MAIN = "deepseek-workbench:open-main";
export const INSPECT = "deepseek-workbench:inspect-model";
export const TOGGLE = "deepseek-workbench:toggle-pause";
export const OPEN_RUN = "deepseek-workbench:open-run";
export const OPEN_REPORT = "deepseek-workbench:open-report";

/** Adds the commands that show what is followed. */
export function addShowCommands(
  { commands, shell }: JupyterFrontEnd,
  trans: TranslationBundle,
  panel: string,
  openMain: () => void,
): string[] {
  commands.addCommand(SHOW, {
    label: (args) => (args["toolbar"] ? "" : trans.__("Show panel")),
    caption: trans.__("Show the DeepSeek panel: the training in this notebook, layer by layer"),
    icon,
    execute: () => shell.activateById(panel),
  });
  commands.addCommand(OPEN_MAIN, {
    label: trans.__("Open in the main area"),
    caption: trans.__("Show the training of the notebook in front in a tab of the main area"),
    icon,
    execute: openMain,
  });
  return [SHOW, OPEN_MAIN];
}

/** Adds the commands that the training obeys between two steps, and the one that has it watched. */
export function addTrainingCommands({ commands }: JupyterFrontEnd, watcher: Watcher, trans: TranslationBundle): string[] {
  const verbs = {
    pause: { label: trans.__("Pause training"), caption: trans.__("Hold the training after the step in progress") },
    resume: { label: trans.__("Resume training"), caption: trans.__("Let a paused training go on") },
    step_once: { label: trans.__("Step"), caption: trans.__("Let a paused training take one optimizer step") },
  } as const;
  const ids = Object.entries(verbs).map(([verb, texts]) => {
    const id = `deepseek-workbench:${verb.replace("_", "-")}`;
    commands.addCommand(id, {
      ...texts,
      isEnabled: () => watcher.watch !== null,
      execute: () => told(watcher.watch?.command({ verb: verb as keyof typeof verbs })),
    });
    return id;
  });
  const isPaused = () => watcher.watch?.isPaused ?? false;
  commands.addCommand(TOGGLE, {
    label: (args) => (args["toolbar"] ? "" : trans.__("Pause or resume training")),
    caption: () => (isPaused() ? verbs.resume.label : verbs.pause.label),
    icon: () => (isPaused() ? runIcon : pauseIcon),
    isEnabled: () => watcher.watch !== null,
    execute: () => told(watcher.watch?.toggle().then(() => watcher.watch?.refresh())),
  });
  commands.addCommand(INSPECT, {
    label: (args) => (args["toolbar"] ? "" : trans.__("Inspect model…")),
    caption: trans.__("Insert a cell that has a model watched while it trains"),
    icon: inspectorIcon,
    isEnabled: () => watcher.notebook !== null,
    execute: () => watcher.notebook && told(inspectModel(watcher.notebook, trans)),
  });
  let shown = "";
  watcher.changed.connect(() => {
    const now = `${isPaused()} ${watcher.watch !== null} ${watcher.notebook !== null}`;
    if (now === shown) return;
    shown = now;
    for (const id of [...ids, TOGGLE, INSPECT]) commands.notifyCommandChanged(id);
  });
  return [...ids, TOGGLE, INSPECT];
}

export function addToPalette(palette: ICommandPalette | null, ids: readonly string[]): void {
  for (const command of ids) palette?.addItem({ command, category: "DeepSeek" });
}

/** How long a message is seen; by default JupyterLab only counts it. */
const READING_MS = 10_000;

/** Tells the user what went wrong. */
export async function told(done: Promise<unknown> | undefined): Promise<void> {
  try {
    await done;
  } catch (error) {
    Notification.error(error instanceof Error ? error.message : String(error), { autoClose: READING_MS });
  }
}
