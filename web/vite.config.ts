import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

const PACKAGE = new URL("../src/pocketgan/export", import.meta.url).pathname;
const file = (name: string): string => readFileSync(new URL(name, import.meta.url), "utf8");
const sum = (text: string): string => createHash("sha256").update(text).digest("base64");

/** Script and style into the page, each with its sum in the content security policy; nothing else is left. */
function onePage(): Plugin {
  return {
    name: "one-page",
    enforce: "post",
    generateBundle(_options, bundle) {
      const made = Object.values(bundle);
      const chunk = made.find((one) => one.type === "chunk"), sheet = made.find((one) => one.fileName.endsWith(".css"));
      if (made.length !== 2 || chunk?.type !== "chunk" || sheet?.type !== "asset") {
        throw new Error(`one script and one style are expected, not ${made.map((one) => one.fileName).join(", ")}`);
      }
      const script = chunk.code.trim().replaceAll("<!--", "<\\!--"), style = String(sheet.source).trim();
      if (/<\/script/i.test(script)) throw new Error("the script cannot stand in a page");
      const parts: Record<string, string> = {
        script,
        style,
        "script sum": sum(script),
        "style sum": sum(style),
        "svelte version": JSON.parse(file("node_modules/svelte/package.json")).version,
        "svelte licence": file("node_modules/svelte/LICENSE.md").trim(),
      };
      const source = file("src/page.html").replace(/\{(script|style|script sum|style sum|svelte version|svelte licence)\}/g, (_, name) => parts[name]);
      for (const one of made) delete bundle[one.fileName];
      this.emitFile({ type: "asset", fileName: "page.html", source });
    },
  };
}

export default defineConfig({
  plugins: [svelte(), onePage()],
  build: {
    outDir: process.env.PAGE_OUT ?? PACKAGE,
    emptyOutDir: false,
    target: ["chrome107", "firefox106", "safari16.1"],
    cssCodeSplit: false,
    modulePreload: false,
    rollupOptions: { input: "src/main.ts", output: { format: "iife" } },
  },
});
