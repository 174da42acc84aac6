// SPDX-License-Identifier: Apache-2.0
// Builds the page: src/ to dist/, or with --tests the unit tests to build/.
import { build } from "esbuild";
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";

const root = import.meta.dirname;
const require = createRequire(import.meta.url);
const shared = {
    bundle: true, target: "es2022", charset: "utf8", logLevel: "warning", absWorkingDir: root,
};

/** The folder of the package that a bundled file belongs to: node_modules/NAME. */
function packageOf(file) {
    return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0];
}

/** The licences of everything that went into the bundle, as their terms ask. */
async function licences(inputs) {
    const folders = [...new Set(Object.keys(inputs).map(packageOf).filter(Boolean))].sort();
    const parts = ["The chat page of rwkv.c contains these packages.\n"];
    for (const folder of folders) {
        const about = JSON.parse(await readFile(path.join(root, folder, "package.json"), "utf8"));
        const files = await readdir(path.join(root, folder));
        const name = files.find((file) => /^(licen[cs]e)(\.(md|txt))?$/i.test(file));
        if (!name)
            throw new Error(`${about.name}: no file with its licence`);
        const text = await readFile(path.join(root, folder, name), "utf8");
        parts.push(`${"=".repeat(78)}\n${about.name} ${about.version} (${about.license})\n\n`
            + text.replaceAll("\r", "").trim() + "\n");
    }
    return parts.join("\n");
}

async function buildPage() {
    const dist = path.join(root, "dist");
    await rm(dist, { recursive: true, force: true });
    await mkdir(dist);
    const page = await build({
        ...shared, entryPoints: { page: "src/main.tsx" }, outdir: "dist", format: "esm",
        minify: true, legalComments: "none", metafile: true, jsx: "automatic",
        jsxImportSource: "preact",
    });
    await build({
        ...shared, entryPoints: { page: "src/page.css" }, outdir: "dist", minify: true,
    });
    await copyFile(path.join(root, "src/index.html"), path.join(dist, "index.html"));
    await writeFile(path.join(dist, "licences.txt"), await licences(page.metafile.inputs));
}

async function buildTests() {
    const all = await readdir(path.join(root, "test"));
    const names = all.filter((name) => name.endsWith(".test.js"));
    await rm(path.join(root, "build"), { recursive: true, force: true });
    await build({
        ...shared, entryPoints: names.map((name) => `test/${name}`), outdir: "build",
        format: "esm", platform: "node", jsx: "automatic", jsxImportSource: "preact",
        outExtension: { ".js": ".mjs" },
    });
}

require.resolve("preact"); // a clear error where `npm ci` has not been run
await (process.argv.includes("--tests") ? buildTests() : buildPage());
