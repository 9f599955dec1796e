import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { defineConfig, type Plugin } from "vite";

const here = import.meta.dirname;

/** Every file that the built page comes from, in the order of their names. */
function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? sources(path) : [path];
  });
}

/** Writes the hash of the sources beside the page, so that a test without node sees a page that is out of date. */
function sourceHash(): Plugin {
  return {
    name: "source-hash",
    generateBundle() {
      const files = [...sources(join(here, "src")), join(here, "index.html"), join(here, "vite.config.ts")];
      const names = files.map((file) => relative(here, file).split(sep).join("/")).sort();
      const hash = createHash("sha256");
      for (const name of names) {
        hash.update(`${name}\n`).update(readFileSync(join(here, name))).update("\n");
      }
      this.emitFile({ type: "asset", fileName: "sources.sha256", source: `${hash.digest("hex")}\n` });
    },
  };
}

export default defineConfig({
  base: "/static/",
  plugins: [sourceHash()],
  build: {
    outDir: "../mien/serve/static",
    emptyOutDir: true,
    target: "es2022",
    // The policy of the page allows no inline scripts and no data addresses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Fixed names: the service lets browsers ask whether a file has changed.
    rollupOptions: {
      output: { entryFileNames: "page.js", chunkFileNames: "[name].js", assetFileNames: "[name][extname]" },
    },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8765" } },
});
