// Run files as documents of JupyterLab, which never reads them itself: the Jupyter server makes messages of them.
import { ABCWidgetFactory, type DocumentRegistry, DocumentWidget, TextModelFactory } from "@jupyterlab/docregistry";
import type { TranslationBundle } from "@jupyterlab/translation";
import { icon } from "./icon";
import { RunView } from "./run_view";
import type { RunServer } from "./server";

export const FACTORY = "DeepSeek Run";
export const FILE_TYPE = "dsrun";
export const SUFFIX = ".dsrun";
const MODEL = "deepseek-run";

/** Without a format the file browser's interface is asked for the file's name and times, not for its content. */
class RunModelFactory extends TextModelFactory {
  override get name(): string {
    return MODEL;
  }

  override get fileFormat(): null {
    return null;
  }

  override createNew(options?: Parameters<TextModelFactory["createNew"]>[0]): DocumentRegistry.ICodeModel {
    const model = super.createNew(options);
    model.readOnly = true;
    return model;
  }
}

export type RunDocument = DocumentWidget<RunView>;

class RunFactory extends ABCWidgetFactory<RunDocument> {
  #server: RunServer;
  #trans: TranslationBundle;

  constructor(server: RunServer, trans: TranslationBundle, options: DocumentRegistry.IWidgetFactoryOptions<RunDocument>) {
    super(options);
    this.#server = server;
    this.#trans = trans;
  }

  protected createNewWidget(context: DocumentRegistry.Context): RunDocument {
    const content = new RunView(this.#server, () => context.localPath, this.#trans);
    const widget = new DocumentWidget({ content, context });
    widget.title.icon = icon;
    return widget;
  }
}

/** Has run files opened as documents; returns what makes them. */
export function addRunDocuments(
  registry: DocumentRegistry,
  server: RunServer,
  trans: TranslationBundle,
  toolbarFactory?: DocumentRegistry.IWidgetFactoryOptions<RunDocument>["toolbarFactory"],
): RunFactory {
  registry.addFileType({
    name: FILE_TYPE,
    displayName: trans.__("DeepSeek run"),
    extensions: [SUFFIX],
    mimeTypes: ["application/vnd.deepseek.run"],
    contentType: "file",
    fileFormat: null,
    icon,
  });
  registry.addModelFactory(new RunModelFactory());
  const factory = new RunFactory(server, trans, {
    name: FACTORY,
    label: trans.__("DeepSeek run"),
    modelName: MODEL,
    fileTypes: [FILE_TYPE],
    defaultFor: [FILE_TYPE],
    readOnly: true,
    ...(toolbarFactory && { toolbarFactory }),
  });
  registry.addWidgetFactory(factory as DocumentRegistry.WidgetFactory);
  return factory;
}
