// Bundles the dashboard into a folder, and its unit tests into another:
//   node build.mjs DIST TESTS
// The modules are found through NODE_PATH, so that they lie outside the source tree. Names carry a hash of the content: a browser may keep
// them for ever, and asks again for the page only.
import {readFile, readdir, rm, mkdir, writeFile, copyFile} from "node:fs/promises";
import {createRequire} from "node:module";
import path from "node:path";
import {fileURLToPath, pathToFileURL} from "node:url";

const [dist, tests] = process.argv.slice(2);
const here = path.dirname(fileURLToPath(import.meta.url));
const modules = process.env.NODE_PATH;
if (!dist || !tests || !modules) {
  console.error("build.mjs: NODE_PATH=MODULES node build.mjs DIST TESTS");
  process.exit(2);
}
const esbuild = await import(pathToFileURL(createRequire(path.join(modules, "_")).resolve("esbuild")).href);
const common = {bundle: true, nodePaths: [modules], absWorkingDir: here, jsx: "automatic", jsxImportSource: "preact", target: "es2022", logLevel: "warning"};

await rm(dist, {recursive: true, force: true});
await mkdir(dist, {recursive: true});
const built = await (esbuild.build ?? esbuild.default.build)({
  ...common,
  entryPoints: {app: "src/main.tsx"},
  outdir: path.join(dist, "assets"),
  entryNames: "[name]-[hash]",
  format: "esm",
  minify: true,
  metafile: true,
  legalComments: "eof",
  define: {"process.env.NODE_ENV": '"production"'},
});
const names = Object.keys(built.metafile.outputs).map((name) => "/assets/" + path.basename(name));
const only = (ending) => {
  const found = names.filter((name) => name.endsWith(ending));
  if (found.length !== 1) throw new Error(`expected one ${ending}, not ${found.length}`);
  return found[0];
};
const page = (await readFile(path.join(here, "src/index.html"), "utf8")).replace("{{app.css}}", only(".css")).replace("{{app.js}}", only(".js"));
await writeFile(path.join(dist, "index.html"), page);
await copyFile(path.join(here, "src/favicon.svg"), path.join(dist, "favicon.svg"));

await rm(tests, {recursive: true, force: true});
const testFiles = (await readdir(path.join(here, "test"))).filter((name) => name.endsWith(".test.ts"));
await (esbuild.build ?? esbuild.default.build)({
  ...common,
  entryPoints: testFiles.map((name) => "test/" + name),
  outdir: tests,
  outExtension: {".js": ".mjs"},
  format: "esm",
  platform: "node",
});
