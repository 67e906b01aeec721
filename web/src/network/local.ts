import type { Description, Engine, Steering } from "../engine";
import { build, type Entry, type Network, type Place } from "./layers";
import { bytesOf, reader } from "./weights";

/** What `pocketgan export --to html` puts into the page. */
export interface Content extends Omit<Description, "steering"> {
  pixel_range: [number, number];
  layers: Entry[];
  steering: (Omit<Steering, "basis" | "means" | "moves"> & { basis: Place; means: Place; moves: Place }) | null;
}

/** The network inside the page, on the page's own thread; other work comes in between images. */
export class LocalEngine implements Engine {
  readonly #description: Description;
  readonly #network: Network;
  readonly #range: [number, number];

  constructor(content: Content, weights: string) {
    const { layers, pixel_range, steering, ...about } = content;
    const read = reader(bytesOf(weights));
    this.#network = build(layers, about.latent, read);
    this.#range = pixel_range;
    this.#description = { ...about, ...(steering ? { steering: steered(steering, about.latent, read) } : {}) };
  }

  describe(): Description {
    return this.#description;
  }

  async draw(z: Float32Array[], labels: number[]): Promise<Uint8Array> {
    const { shape, latent, conditional, classes } = this.#description;
    const size = shape[0] * shape[1] * shape[2], made = new Uint8Array(z.length * size);
    const [low, high] = this.#range, scale = 255 / (high - low);
    for (let n = 0; n < z.length; n++) {
      if (z[n].length !== latent) throw new RangeError(`a latent has ${latent} numbers, not ${z[n].length}`);
      const label = conditional ? labels[n] : 0;
      if (conditional && !(label in classes)) throw new RangeError(`there is no class ${label}`);
      if (n) await others();
      const out = this.#network.run(z[n], label);
      for (let i = 0; i < size; i++) {
        made[n * size + i] = Math.min(255, Math.max(0, Math.round((out[i] - low) * scale)));
      }
    }
    return made;
  }
}

const channel = new MessageChannel();
const waiting: (() => void)[] = [];
channel.port1.onmessage = () => waiting.shift()?.();

/** Lets the browser do what else it has to do; unlike a timer it waits for nothing. */
function others(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    channel.port2.postMessage(null);
  });
}

function steered(content: NonNullable<Content["steering"]>, latent: number, read: (place: Place) => Float32Array): Steering {
  const rows = (place: Place): Float32Array[] => {
    const all = read(place);
    return Array.from({ length: all.length / latent }, (_, row) => all.subarray(row * latent, (row + 1) * latent));
  };
  const moves = rows(content.moves), each = content.names.length;
  return {
    ...content,
    basis: rows(content.basis),
    means: rows(content.means),
    moves: content.classes.map((_, label) => moves.slice(label * each, (label + 1) * each)),
  };
}
