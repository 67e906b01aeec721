import { readFileSync } from "node:fs";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

const place = (name: string): string => new URL(name, import.meta.url).pathname;

/** What is built holds Svelte, whose licence goes with it. */
function licence(): Plugin {
  return {
    name: "licence",
    generateBundle() {
      const { version } = JSON.parse(readFileSync(place("node_modules/svelte/package.json"), "utf8"));
      const source = `The lab's pages hold Svelte ${version}, which is:\n${readFileSync(place("node_modules/svelte/LICENSE.md"), "utf8").trim()}\n`;
      this.emitFile({ type: "asset", fileName: "licence.txt", source });
    },
  };
}

/** The pages of `pocketgan lab`: files of their own, since its policy lets no inline script run. */
export default defineConfig({
  root: place("src/lab"),
  plugins: [svelte({ configFile: false }), licence()],
  build: {
    outDir: process.env.LAB_OUT ?? place("../src/pocketgan/lab/static"),
    emptyOutDir: true,
    target: ["chrome107", "firefox106", "safari16.1"],
    modulePreload: false,
    cssCodeSplit: false,
    assetsInlineLimit: 0,
  },
});
