import { socketAt, type Run } from "./api";

export interface Hello {
  recipe: string;
  seed: number;
  batch_size: number;
  total_nimg: number;
  epochs: number;
  images: number;
  class_names: string[] | null;
  curve: { steps: number; points: Point[] };
}
export type Point = [nimg: number, d: number, g: number];
export interface Health {
  event: string;
  nimg: number;
  kind: string;
  words: string;
  remedy: string;
}
export interface Numbers {
  state: "running" | "paused" | "stepping" | "stopping";
  nimg: number;
  epoch: number;
  losses: Point[];
  images_per_second: number | null;
  seconds_left: number | null;
  controller: string | null;
  health: Health[];
}
export interface Drawn {
  nimg: number;
  shape: [number, number, number, number];
  columns: number;
  logits: { low: number; high: number; real: number[]; fake: number[] };
  pixels: Uint8Array;
}
type Message =
  | { type: "you"; id: string; may_control: boolean }
  | { type: "off"; state: string; why: string }
  | ({ type: "hello" } & Hello)
  | ({ type: "numbers" } & Numbers)
  | ({ type: "picture" } & Omit<Drawn, "pixels">)
  | { type: "answer"; number: number | null; ok: boolean; why: string }
  | { type: "end"; reason: string | null }
  | { type: "error"; why: string };

const AGAIN_MS = 1000;
const MOST_POINTS = 6000; // of the curve; more are thinned

/** The mean losses of each epoch, as a run's events have them. */
export const curveOf = (run: Run | null): Point[] =>
  (run?.events ?? []).flatMap(({ event, nimg, loss_d, loss_g }) =>
    event === "epoch" && loss_d != null && loss_g != null ? [[nimg, loss_d, loss_g] satisfies Point] : [],
  );

/** One training, as it is told while it runs. */
export class Live {
  linked = $state(false);
  me = $state("");
  mayControl = $state(false);
  hello = $state.raw<Hello | null>(null);
  numbers = $state.raw<Numbers | null>(null);
  drawn = $state.raw<Drawn | null>(null);
  points = $state.raw<Point[]>([]);
  off = $state.raw<{ state: string; why: string } | null>(null);
  ended = $state(false);
  refused = $state("");
  readonly #path: string;
  #socket: WebSocket | null = null;
  #closed = false;

  constructor(id: string) {
    this.#path = `/api/runs/${id}/live`;
    this.#open();
  }

  get running(): boolean {
    return this.numbers !== null && this.off === null && !this.ended;
  }

  ask(command: "pause" | "step" | "go" | "stop" | "take", steps?: number): void {
    this.refused = "";
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify(steps === undefined ? { do: command } : { do: command, steps }));
  }

  close(): void {
    this.#closed = true;
    this.#socket?.close();
  }

  #open(): void {
    const socket = (this.#socket = socketAt(this.#path));
    socket.onopen = () => (this.linked = true);
    socket.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => {
      if (typeof data === "string") {
        this.#hear(JSON.parse(data) as Message, new Uint8Array());
        return;
      }
      const head = new DataView(data).getUint32(0);
      const text = new TextDecoder().decode(new Uint8Array(data, 8, head));
      this.#hear(JSON.parse(text) as Message, new Uint8Array(data, 8 + head));
    };
    socket.onclose = () => {
      this.linked = false;
      if (!this.#closed) setTimeout(() => this.#closed || this.#open(), AGAIN_MS);
    };
  }

  #hear(message: Message, pixels: Uint8Array): void {
    switch (message.type) {
      case "you":
        [this.me, this.mayControl] = [message.id, message.may_control];
        break;
      case "off":
        this.off = message;
        break;
      case "hello":
        [this.hello, this.points, this.off, this.ended] = [message, message.curve.points, null, false];
        break;
      case "numbers":
        this.numbers = message;
        if (message.losses.length) this.#add(message.losses);
        break;
      case "picture":
        this.drawn = { ...message, pixels };
        break;
      case "answer":
        if (!message.ok) this.refused = message.why;
        break;
      case "end":
        this.ended = true;
        break;
      case "error":
        this.off = { state: "damaged", why: message.why };
    }
  }

  #add(fresh: Point[]): void {
    const from = fresh[0][0];
    let before = this.points;
    if (before.length && before[before.length - 1][0] >= from) before = before.filter(([nimg]) => nimg < from);
    if (before.length > MOST_POINTS) before = before.filter((_, n) => n % 2 === 0);
    this.points = [...before, ...fresh];
  }
}
