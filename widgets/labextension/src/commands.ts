// What can be asked for from the palette, the toolbar and the keyboard.
import type { JupyterFrontEnd } from "@jupyterlab/application";
import { type ICommandPalette, Notification } from "@jupyterlab/apputils";
import type { TranslationBundle } from "@jupyterlab/translation";
import { icon } from "./icon";
import type { Panel } from "./panel";
import type { Watcher } from "./watcher";

export const SHOW = "deepseek-workbench:show";

/** Adds a command that brings the panel to the front. */
export function addShowCommand({ commands, shell }: JupyterFrontEnd, panel: Panel, trans: TranslationBundle): void {
  commands.addCommand(SHOW, {
    label: (args) => (args["toolbar"] ? "" : trans.__("Show panel")),
    caption: trans.__("Show the DeepSeek panel: the training in this notebook, layer by layer"),
    icon,
    execute: () => shell.activateById(panel.id),
  });
}

/** Adds the commands that the training obeys between two steps. */
export function addTrainingCommands({ commands }: JupyterFrontEnd, watcher: Watcher, trans: TranslationBundle): string[] {
  const verbs = {
    pause: { label: trans.__("Pause training"), caption: trans.__("Hold the training after the step in progress") },
    resume: { label: trans.__("Resume training"), caption: trans.__("Let a paused training go on") },
    step_once: { label: trans.__("Step"), caption: trans.__("Let a paused training take one optimizer step") },
  } as const;
  return Object.entries(verbs).map(([verb, texts]) => {
    const id = `deepseek-workbench:${verb.replace("_", "-")}`;
    commands.addCommand(id, {
      ...texts,
      isEnabled: () => watcher.watch !== null,
      execute: () =>
        watcher.watch
          ?.command({ verb: verb as keyof typeof verbs })
          .catch((error: unknown) => void Notification.error(error instanceof Error ? error.message : String(error))),
    });
    return id;
  });
}

export function addToPalette(palette: ICommandPalette, ids: readonly string[]): void {
  for (const command of ids) palette.addItem({ command, category: "DeepSeek" });
}
