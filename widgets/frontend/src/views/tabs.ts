// Several views in one place, of which one is seen; the others are not drawn.
import { h } from "../dom";
import type { State } from "../store";
import type { Host, Selection, View } from "./view";

export interface Tab {
  /** Stands for the tab in tests. */
  name: string;
  title: string;
  make(host: Host, parent: HTMLElement): View | Promise<View>;
  /** Whether there is anything to show; without it there always is. A tab stays once it was needed. */
  present?(state: State): boolean;
}

/** A view is made when its tab is chosen for the first time; the first tab is, to begin with. */
export function tabsView(host: Host, parent: HTMLElement, tabs: readonly [Tab, ...Tab[]]): View {
  const list = h("div", { class: "ds-tablist", role: "tablist", "aria-label": "Views" });
  parent.append(list);
  const id = `ds-tab-${Math.random().toString(36).slice(2)}`;
  const pages = tabs.map((tab) => {
    const handle = h("button", { type: "button", role: "tab", id: `${id}-${tab.name}`, "data-testid": `tab-${tab.name}` }, tab.title);
    const panel = h("div", { role: "tabpanel", id: `${id}-${tab.name}-panel`, "aria-labelledby": handle.id, hidden: true });
    handle.setAttribute("aria-controls", panel.id);
    handle.addEventListener("click", () => void choose(page));
    if (tab.present === undefined) list.append(handle);
    parent.append(panel);
    const page = { tab, handle, panel, view: null as View | null, making: null as Promise<View> | null };
    return page;
  });
  type Page = (typeof pages)[number];
  let chosen = pages[0]!;
  let removed = false;

  list.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move === undefined) return;
    event.preventDefault();
    const offered = pages.filter(({ handle }) => list.contains(handle));
    const next = offered.at((offered.indexOf(chosen) + move) % offered.length)!;
    next.handle.focus();
    void choose(next);
  });

  async function choose(page: Page): Promise<void> {
    chosen = page;
    for (const each of pages) {
      each.panel.hidden = each !== page;
      each.handle.setAttribute("aria-selected", String(each === page));
      each.handle.tabIndex = each === page ? 0 : -1;
    }
    if (page.view === null) {
      // Charts must be born in a part of the page that is seen.
      page.making ??= Promise.resolve(page.tab.make(host, page.panel));
      const view = await page.making;
      if (removed) return view.remove?.();
      page.view = view;
    }
    host.select({});
  }

  /** Offers the tabs that have something to show by now, each in its place. */
  function offer(state: State): void {
    for (const [index, { tab, handle }] of pages.entries()) {
      if (list.contains(handle) || !tab.present?.(state)) continue;
      const next = pages.slice(index + 1).find((page) => list.contains(page.handle));
      list.insertBefore(handle, next?.handle ?? null);
    }
  }

  void choose(chosen);
  return {
    update(state: State, selection: Selection) {
      offer(state);
      chosen.view?.update(state, selection);
    },
    remove() {
      removed = true;
      for (const { view } of pages) view?.remove?.();
    },
  };
}
