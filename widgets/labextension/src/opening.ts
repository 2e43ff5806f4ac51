// Brings the panel to the front when an inspection begins, for users who want that.
import type { Watcher } from "./watcher";

/** How soon after its beginning. */
const LOOK_MS = 1000;

export function openWithInspections(watcher: Watcher, show: () => void): void {
  const known = new Set<string>();
  const look = async () => {
    const { watch, isShown, preferences } = watcher;
    if (!preferences.opensPanel || watch === null || document.hidden) return;
    if (!isShown && watch.isBusy) await watch.refresh();
    const unknown = watch.sessions.filter(({ key }) => !known.has(key));
    for (const { key } of unknown) known.add(key);
    if (unknown.length > 0 && !watcher.isShown) show();
  };
  window.setInterval(() => void look(), LOOK_MS);
}
