import { mount } from "svelte";
import type { Description } from "./engine";
import { drawn, steered } from "./latents";
import { LocalEngine, type Content } from "./network/local";
import Play from "./Play.svelte";
import "./style.css";

/** `window.pocketgan`, for scripts: see docs/export.md. */
interface Door {
  describe(): Description;
  /** Bytes [N, C, H, W], as plain numbers. */
  draw(z: number[][], labels?: number[]): Promise<number[]>;
  /** The latent of a seed's n-th picture on this page. */
  latent(seed: number, number: number): number[];
  /** A latent moved toward a class, where directions are fitted. */
  steered(z: number[], label: number, amounts?: number[]): number[];
}
declare global {
  interface Window {
    pocketgan: Door;
  }
}

const read = (id: string): string => document.getElementById(id)!.textContent!;
const engine = new LocalEngine(JSON.parse(read("network")) as Content, read("weights"));
const about = engine.describe();

window.pocketgan = {
  describe: () => about,
  draw: async (z, labels = []) => Array.from(await engine.draw(z.map((one) => Float32Array.from(one)), labels)),
  latent: (seed, number) => Array.from(drawn(seed, number, about.latent)),
  steered: (z, label, amounts = []) => {
    if (!about.steering) throw new Error("no directions are fitted to this network");
    return Array.from(steered(Float32Array.from(z), about.steering, label, amounts));
  },
};
mount(Play, { target: document.getElementById("play")!, props: { engine } });
