// What users may set; the schema says the same to them.
import type { ISettingRegistry } from "@jupyterlab/settingregistry";

export class Preferences {
  /** Whether an inspection that begins in the notebook in front brings the panel to the front. */
  opensPanel = false;
  #updatesPerSecond = 10;

  /** Between two drawings of news. */
  pauseMs = (): number => 1000 / this.#updatesPerSecond;

  follow(settings: ISettingRegistry.ISettings): void {
    const read = () => {
      this.opensPanel = settings.get("openPanel").composite === true;
      this.#updatesPerSecond = Number(settings.get("updatesPerSecond").composite) || 10;
    };
    settings.changed.connect(read);
    read();
  }
}
