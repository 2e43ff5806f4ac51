// Reports in the main area. They are made of files that may come from strangers: a sandbox keeps them from all else.
import type { JupyterFrontEnd } from "@jupyterlab/application";
import { MainAreaWidget } from "@jupyterlab/apputils";
import { PathExt } from "@jupyterlab/coreutils";
import type { TranslationBundle } from "@jupyterlab/translation";
import { downloadIcon, IFrame, ToolbarButton } from "@jupyterlab/ui-components";
import { icon } from "./icon";
import type { RunServer } from "./server";

/** Paths of the run, or of the two runs, that a page tells of. */
export interface Subject {
  a: string;
  b?: string;
}

export class Page extends MainAreaWidget<IFrame> {
  readonly subject: Subject;

  constructor(server: RunServer, subject: Subject, trans: TranslationBundle) {
    // May run its scripts; has no origin, so it reaches neither cookies nor the Jupyter server nor this page.
    const content = new IFrame({ sandbox: ["allow-scripts"] });
    const text = server.page(subject.a, subject.b);
    const title = titleOf(subject, trans);
    const shown = text.then((html) => {
      const frame = content.node.querySelector("iframe")!;
      frame.title = title;
      frame.srcdoc = html;
    });
    super({ content, reveal: shown });
    this.subject = subject;
    this.id = idOf(subject);
    this.title.label = title;
    this.title.caption = [subject.a, subject.b].join("\n").trim();
    this.title.icon = icon;
    this.title.closable = true;
    this.node.dataset["testid"] = "deepseek-page";
    const download = () => void text.then((html) => save(html, `${title.replace(/[^\p{L}\p{N}.-]+/gu, "-")}.html`));
    const label = trans.__("Download");
    this.toolbar.addItem("download", new ToolbarButton({ icon: downloadIcon, label, tooltip: label, onClick: download }));
  }
}

/** Shows a page, made anew where it is open already. */
export function showPage(shell: JupyterFrontEnd.IShell, page: Page): void {
  for (const widget of [...shell.widgets("main")]) if (widget.id === page.id && widget !== page) widget.dispose();
  shell.add(page, "main");
  shell.activateById(page.id);
}

/** Has the browser save a page as a file. */
export function save(html: string, name: string): void {
  const address = URL.createObjectURL(new Blob([html], { type: "text/html" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}

function titleOf({ a, b }: Subject, trans: TranslationBundle): string {
  const name = (path: string) => PathExt.basename(path, ".dsrun");
  return b === undefined ? trans.__("Report of %1", name(a)) : trans.__("%1 compared with %2", name(a), name(b));
}

function idOf({ a, b }: Subject): string {
  return `deepseek-page-${encodeURIComponent(a)}${b === undefined ? "" : `-${encodeURIComponent(b)}`}`;
}
