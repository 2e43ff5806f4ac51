// Lets sources import another one as the text of a script that a worker can run: `import text from "worker:./x.ts"`.
import { dirname, resolve } from "node:path";
import { build } from "esbuild";

export const workerText = {
  name: "worker-text",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^worker:/ }, ({ path, importer }) => ({
      path: resolve(dirname(importer), path.slice("worker:".length)),
      namespace: "worker",
    }));
    onLoad({ filter: /.*/, namespace: "worker" }, async ({ path }) => {
      const options = { bundle: true, minify: true, target: "es2022", charset: "utf8", legalComments: "none" };
      const { outputFiles } = await build({ ...options, entryPoints: [path], format: "iife", write: false });
      return { contents: outputFiles[0].text, loader: "text" };
    });
  },
};
