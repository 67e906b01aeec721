import type { Description, Engine, Steering } from "../engine";
import { base64Of, get, rowsOf, socketAt, type Directions, type ModelFacts } from "./api";

interface Waiting {
  bytes: ArrayBuffer;
  done(images: Uint8Array): void;
  failed(why: Error): void;
}
const AGAIN_MS = 1000;

function steeringOf(fitted: Directions, latent: number): Steering {
  const { classes, made, strength, names } = fitted, moves = rowsOf(fitted.moves, latent);
  return {
    classes, made, strength, names,
    basis: rowsOf(fitted.basis, latent),
    means: rowsOf(fitted.means, latent),
    moves: classes.map((_, label) => moves.slice(label * names.length, (label + 1) * names.length)),
  };
}

/** A model of the lab's server, at the other end of a socket; one that breaks is opened again. */
export class SocketEngine implements Engine {
  readonly #description: Description;
  readonly #path: string;
  readonly #most: number;
  readonly #linked: (is: boolean) => void;
  #socket: WebSocket | null = null;
  #number = 0;
  #closed = false;
  #waiting = new Map<number, Waiting>();

  private constructor(id: string, facts: ModelFacts, steering: Steering | undefined, linked: (is: boolean) => void) {
    const { name, shape, latent_dim: latent, conditional } = facts;
    this.#description = { name, shape, latent, conditional, classes: conditional ? facts.class_names : [], weights: "", steering };
    this.#path = `/api/models/${id}`;
    this.#most = facts.most_images;
    this.#linked = linked;
    this.#open();
  }

  /** @param linked Hears whether the server is there. */
  static async of(id: string, linked: (is: boolean) => void): Promise<[SocketEngine, ModelFacts]> {
    const facts = await get<ModelFacts>(`/api/models/${id}`);
    const fitted = facts.methods.includes("directions") ? await get<Directions>(`/api/models/${id}/directions`) : null;
    return [new SocketEngine(id, facts, fitted ? steeringOf(fitted, facts.latent_dim) : undefined, linked), facts];
  }

  describe(): Description {
    return this.#description;
  }

  async draw(z: Float32Array[], labels: number[]): Promise<Uint8Array> {
    const parts: Promise<Uint8Array>[] = [];
    for (let from = 0; from < z.length; from += this.#most) {
      parts.push(this.#ask(z.slice(from, from + this.#most), labels.slice(from, from + this.#most)));
    }
    const made = await Promise.all(parts);
    if (made.length === 1) return made[0];
    const all = new Uint8Array(made.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of made) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  /** The exact picture as the server saves it, its latent inside. */
  async picture(z: Float32Array, label: number): Promise<Blob> {
    const of = this.#description.conditional ? `&label=${label}` : "";
    const response = await fetch(`${this.#path}/picture?z=${base64Of(z)}${of}`);
    if (!response.ok) throw new Error(((await response.json()) as { error: string }).error);
    return response.blob();
  }

  close(): void {
    this.#closed = true;
    this.#socket?.close();
  }

  #ask(z: Float32Array[], labels: number[]): Promise<Uint8Array> {
    const { latent, conditional } = this.#description;
    const number = (this.#number = (this.#number + 1) >>> 0);
    const bytes = new ArrayBuffer(8 + 4 * z.length * (1 + latent)), view = new DataView(bytes);
    view.setUint32(0, number, true);
    view.setUint32(4, z.length, true);
    z.forEach((_, n) => view.setInt32(8 + 4 * n, conditional ? labels[n] : -1, true));
    z.forEach((one, n) => one.forEach((value, i) => view.setFloat32(8 + 4 * (z.length + n * latent + i), value, true)));
    return new Promise((done, failed) => {
      this.#waiting.set(number, { bytes, done, failed });
      if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(bytes);
    });
  }

  #open(): void {
    const socket = (this.#socket = socketAt(`${this.#path}/draw`));
    socket.onopen = () => {
      this.#linked(true);
      for (const { bytes } of this.#waiting.values()) socket.send(bytes);
    };
    socket.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => {
      if (typeof data === "string") { // the server answers in order, so it is about the oldest
        const [number, oldest] = this.#waiting.entries().next().value ?? [0, null];
        this.#waiting.delete(number);
        oldest?.failed(new Error((JSON.parse(data) as { why: string }).why));
        return;
      }
      const number = new DataView(data).getUint32(0, true);
      this.#waiting.get(number)?.done(new Uint8Array(data, 8));
      this.#waiting.delete(number);
    };
    socket.onclose = () => {
      if (this.#closed) return;
      this.#linked(false);
      setTimeout(() => this.#closed || this.#open(), AGAIN_MS);
    };
  }
}
