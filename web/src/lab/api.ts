/** What the lab's server answers; docs/lab.md lists its addresses. */

export type RunState = "running" | "paused" | "starting" | "stopped" | "complete" | "damaged";

export interface About {
  version: string;
  may_change: boolean;
  watchable: boolean;
}
export interface Run {
  id: string;
  name: string;
  state: RunState;
  why: string;
  recipe?: string;
  seed?: number;
  nimg?: number;
  total_nimg?: number | null;
  has_model?: boolean;
  has_fakes?: boolean;
  has_report?: boolean;
  has_scorecard?: boolean;
  epochs_drawn?: number[];
  warnings?: { nimg: number; kind: string; words: string }[];
  s0?: number | null;
  s1?: number | null;
  verdict?: string | null;
  events?: { event: string; nimg: number; loss_d?: number | null; loss_g?: number | null }[];
  launched?: { code: number | null; said: string; command: string };
  command?: string;
}
export interface Started {
  id: string;
  name: string;
  command: string;
}
export interface ModelRow {
  id: string;
  name: string;
  shipped: boolean;
}
export interface ModelFacts {
  name: string;
  seed: number;
  conditional: boolean;
  latent_dim: number;
  shape: [number, number, number];
  class_names: string[];
  methods: string[];
  fitting: Job | null;
  most_images: number;
  data: string;
  command: string;
}
/** Fitted directions; numbers are float32 in base64. */
export interface Directions {
  classes: string[];
  made: number[];
  strength: number;
  names: string[];
  basis: string;
  means: string;
  moves: string;
}
export interface Field {
  name: string;
  option: string;
  section: string;
  kind: "choice" | "number" | "whole number" | "yes or no" | "text";
  choices: (string | number)[] | null;
  default: string | number | boolean | null;
  about: string | null;
}
export interface Recipe {
  name: string;
  about: string;
  parameters: { generator: number; discriminator: number };
  mflop_per_image: number | null;
  minutes: number | null;
  fields: Record<string, unknown>;
}
export interface Card {
  id: string;
  title: string;
  question: string;
  steps: number;
  why: string;
  remedy: string;
  command: string;
}
/** A picture, its bytes in base64. */
export interface Shown {
  shape: [number, number, number];
  image: string;
}
export interface Job<T = unknown> {
  id: string;
  state: "waiting" | "working" | "done" | "failed" | "cancelled";
  done: number;
  note: string;
  stages: (Shown & { step: number; error: number })[];
  why: string;
  result: T | null;
  command: string;
}

const UNREACHED = "The lab does not answer. Is `pocketgan lab` still running?";
const JOB_MS = 400;

async function asked<T>(path: string, init?: RequestInit): Promise<T> {
  const response = await fetch(path, init).catch(() => {
    throw new Error(UNREACHED);
  });
  const text = await response.text();
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw new Error(text.trim().split("\n")[0] || `the lab answers with ${response.status}`);
  }
  if (!response.ok) throw new Error((content as { error?: string }).error ?? `the lab answers with ${response.status}`);
  return content as T;
}

export const get = <T>(path: string): Promise<T> => asked<T>(path);
export const post = <T>(path: string, content: object = {}): Promise<T> =>
  asked<T>(path, { method: "POST", body: JSON.stringify(content) });
export const send = <T>(path: string, body?: Blob): Promise<T> => asked<T>(path, { method: "POST", body: body ?? "" });

/** Ask for a job's state until it ends; its result, or an error that says why there is none. */
export async function finished<T>(job: Job<T>, told: (job: Job<T>) => void): Promise<T> {
  while (job.state === "waiting" || job.state === "working") {
    told(job);
    await new Promise((go) => setTimeout(go, JOB_MS));
    job = await get<Job<T>>(`/api/jobs/${job.id}`);
  }
  told(job);
  if (job.state !== "done") throw new Error(job.why || "it was cancelled");
  return job.result as T;
}

export const words = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The address of a socket of this server. */
export const socketAt = (path: string): WebSocket => {
  const socket = new WebSocket(`ws://${location.host}${path}`);
  socket.binaryType = "arraybuffer";
  return socket;
};

export const bytesOf = (base64: string): Uint8Array => Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
/** Rows of `length` numbers. */
export function rowsOf(base64: string, length: number): Float32Array[] {
  const values = new Float32Array(bytesOf(base64).buffer as ArrayBuffer);
  return Array.from({ length: values.length / length }, (_, n) => values.subarray(n * length, (n + 1) * length));
}
export const base64Of = (z: Float32Array): string =>
  btoa(String.fromCharCode(...new Uint8Array(z.slice().buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const whole = new Intl.NumberFormat("en");
export const count = (value: number): string => whole.format(value);
export const percent = (value: number): string => `${(100 * value).toFixed(1)} %`;
export const lasting = (seconds: number): string =>
  seconds < 90 ? `${Math.max(0, Math.round(seconds))} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
