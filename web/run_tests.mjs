// Runs all bundled unit tests in a folder: node run_tests.mjs FOLDER. A folder without any is an error.
import {readdirSync} from "node:fs";
import {spawnSync} from "node:child_process";
import path from "node:path";

const folder = process.argv[2];
const files = readdirSync(folder).filter((name) => name.endsWith(".test.mjs")).map((name) => path.join(folder, name));
if (files.length === 0) {
  console.error(`run_tests.mjs: no tests in ${folder}`);
  process.exit(2);
}
process.exit(spawnSync(process.execPath, ["--test", ...files], {stdio: "inherit"}).status ?? 1);
