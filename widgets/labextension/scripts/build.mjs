// Bundles our sources, then lets JupyterLab's builder make a prebuilt extension of them in prebuilt/, which is committed.
import { execFileSync } from "node:child_process";
import { copyFileSync, rmSync } from "node:fs";
import { build } from "esbuild";
import { notice } from "../../frontend/scripts/notice.mjs";
import { workerText } from "../../frontend/scripts/worker.mjs";

await build({
  banner: notice,
  bundle: true,
  charset: "utf8",
  entryPoints: ["src/index.ts"],
  external: ["@jupyterlab/*", "@lumino/*"],
  format: "esm",
  outfile: "lib/index.js",
  plugins: [workerText],
  target: "es2022",
});
rmSync("prebuilt", { recursive: true, force: true });
const core = "node_modules/@jupyterlab/core-meta/core.package.json";
const builder = "node_modules/@jupyter/builder/lib/build-labextension.js";
execFileSync(process.execPath, [builder, "--core-package-file", core, "."], { stdio: ["ignore", "ignore", "inherit"] });
copyFileSync("install.json", "prebuilt/install.json");
