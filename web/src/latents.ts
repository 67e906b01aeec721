import type { Steering } from "./engine";

/** Random numbers of the page's own (mulberry32, then Box and Muller): the latent of a seed's n-th picture. */
export function drawn(seed: number, number: number, length: number): Float32Array {
  let state = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(number + 1, 0xc2b2ae35)) >>> 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return Float32Array.from({ length }, () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
}

export const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, i) => sum + value * b[i], 0);
export const norm = (a: Float32Array): number => Math.sqrt(dot(a, a));
export const scaled = (a: Float32Array, by: number): Float32Array => a.map((value) => value * by);
const sum = (a: Float32Array, b: Float32Array, by: number): Float32Array => a.map((value, i) => value + by * b[i]);
const unit = (a: Float32Array): Float32Array => scaled(a, 1 / Math.max(norm(a), 1e-12));

/** Two directions at right angles to a latent and to each other, of length 1. */
export function plane(z: Float32Array, seed: number): [Float32Array, Float32Array] {
  const first = unit(z);
  const made = [first];
  for (let number = -1; made.length < 3; number--) {
    let direction = drawn(seed, number * 7919, z.length);
    for (const other of made) direction = sum(direction, other, -dot(direction, other));
    made.push(unit(direction));
  }
  return [made[1], made[2]];
}

/** From a latent in a direction of its plane, along the shell: 1 is a quarter of the way around. */
export function turnedBy(z: Float32Array, axes: [Float32Array, Float32Array], x: number, y: number): Float32Array {
  const far = Math.hypot(x, y);
  if (far === 0) return z;
  const length = norm(z), angle = (far * Math.PI) / 2;
  const aside = (length * Math.sin(angle)) / far;
  return sum(sum(scaled(z, Math.cos(angle)), axes[0], aside * x), axes[1], aside * y);
}

/** The share `t` of the way from one latent to another on the great circle; lengths change evenly. */
export function between(a: Float32Array, b: Float32Array, t: number): Float32Array {
  const from = norm(a), to = norm(b), length = from + t * (to - from);
  const angle = Math.acos(Math.min(1, Math.max(-1, dot(a, b) / Math.max(from * to, 1e-12))));
  if (angle < 1e-4 || Math.PI - angle < 1e-4) return sum(scaled(a, 1 - t), b, t);
  const share = (at: number, of: number): number => (length * Math.sin(at * angle)) / (Math.sin(angle) * of);
  return sum(scaled(a, share(1 - t, from)), b, share(t, to));
}

/** Moved toward the mean of a class, then along its directions, at its own length (`pocketgan.steer.directions`). */
export function steered(z: Float32Array, steering: Steering, label: number, amounts: number[]): Float32Array {
  let moved = z;
  for (const axis of steering.basis) moved = sum(moved, axis, -dot(z, axis));
  moved = onShell(sum(moved, steering.means[label], steering.strength), z);
  const before = moved;
  amounts.forEach((amount, at) => (moved = sum(moved, steering.moves[label][at], amount)));
  return onShell(moved, before);
}

const onShell = (moved: Float32Array, before: Float32Array): Float32Array =>
  scaled(moved, norm(before) / Math.max(norm(moved), 1e-12));

export const LARGEST = 10; // of a latent's numbers

/** A latent from text, as `copy z` writes it: a list of numbers in brackets or without. */
export function parsed(text: string, length: number): Float32Array | string {
  const words = text.replace(/[[\]]/g, " ").split(/[\s,;]+/).filter(Boolean);
  const values = words.map(Number);
  const wrong = values.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) return `“${words[wrong].slice(0, 20)}” is no number.`;
  if (values.length !== length) return `This network takes ${length} numbers; here are ${values.length}.`;
  const large = values.find((value) => Math.abs(value) > LARGEST);
  if (large !== undefined) return `${large} is too large: numbers lie between −${LARGEST} and ${LARGEST}.`;
  return Float32Array.from(values);
}

/** As text that gives the same latent again. */
export const written = (z: Float32Array): string => `[${Array.from(z, (value) => Number(value.toPrecision(9))).join(", ")}]`;
