import type { Place } from "./layers";

export function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** All 65,536 half-precision numbers (IEEE 754 binary16); browsers have no array of them before 2025. */
function halves(): Float32Array {
  const table = new Float32Array(1 << 16);
  for (let bits = 0; bits < table.length; bits++) {
    const sign = bits >> 15 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
    if (exponent === 31) table[bits] = fraction ? NaN : sign * Infinity;
    else if (exponent === 0) table[bits] = sign * fraction * 2 ** -24;
    else table[bits] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return table;
}

/** Reads the numbers at a place of the page's weights: little-endian, as every browser's machine is. */
export function reader(content: Uint8Array<ArrayBuffer>): (place: Place) => Float32Array {
  const table = halves();
  return ([begin, count, width]) =>
    width === 2
      ? halved(new Uint16Array(content.buffer, begin, count), table)
      : new Float32Array(content.buffer, begin, count);
}

function halved(bits: Uint16Array, table: Float32Array): Float32Array {
  const made = new Float32Array(bits.length);
  for (let i = 0; i < made.length; i++) made[i] = table[bits[i]];
  return made;
}
