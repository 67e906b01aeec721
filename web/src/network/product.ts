const WIDE = 8; // outputs that are summed at once: as many sums as stay in registers

/**
 * A matrix [outputs, inputs] for one vector after another, of which the zeros cost nothing: after a ReLU they are
 * half of all numbers.
 */
export class Product {
  readonly #panels: Float32Array; // [outputs / WIDE, inputs, WIDE]
  readonly #values: Float32Array;
  readonly #places: Int32Array;
  #count = 0;

  /** `weight(output, input)` is asked once for each. */
  constructor(
    readonly outputs: number,
    readonly inputs: number,
    weight: (output: number, input: number) => number,
  ) {
    this.#panels = new Float32Array(Math.ceil(outputs / WIDE) * inputs * WIDE);
    this.#values = new Float32Array(inputs);
    this.#places = new Int32Array(inputs);
    for (let o = 0; o < outputs; o++) {
      const panel = Math.floor(o / WIDE) * inputs * WIDE + (o % WIDE);
      for (let i = 0; i < inputs; i++) this.#panels[panel + i * WIDE] = weight(o, i);
    }
  }

  /** Begin another vector, of zeros. */
  clear(): void {
    this.#count = 0;
  }

  /** Take `count` numbers of `x` from place `from` for the inputs from `input` on. */
  add(x: Float32Array, from: number, input: number, count: number): void {
    const values = this.#values, places = this.#places;
    let n = this.#count;
    for (let i = 0; i < count; i++) {
      const value = x[from + i];
      if (value !== 0) {
        values[n] = value;
        places[n++] = (input + i) * WIDE;
      }
    }
    this.#count = n;
  }

  /** Write the sums to every `stride`-th place of `out` from `at` on, each beginning with its bias. */
  write(out: Float32Array, at: number, stride: number, bias: Float32Array | null): void {
    const outputs = this.outputs, length = this.inputs * WIDE;
    const panels = this.#panels, values = this.#values, places = this.#places, count = this.#count;
    for (let o = 0, panel = 0; o < outputs; o += WIDE, panel += length) {
      const wide = Math.min(WIDE, outputs - o);
      if (wide === 1) {
        let sum = 0;
        for (let n = 0; n < count; n++) sum += values[n] * panels[panel + places[n]];
        out[at + o * stride] = sum + (bias ? bias[o] : 0);
        continue;
      }
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
      for (let n = 0; n < count; n++) {
        const x = values[n], w = panel + places[n];
        s0 += x * panels[w];
        s1 += x * panels[w + 1];
        s2 += x * panels[w + 2];
        s3 += x * panels[w + 3];
        s4 += x * panels[w + 4];
        s5 += x * panels[w + 5];
        s6 += x * panels[w + 6];
        s7 += x * panels[w + 7];
      }
      const sums = this.#sums;
      sums[0] = s0; sums[1] = s1; sums[2] = s2; sums[3] = s3;
      sums[4] = s4; sums[5] = s5; sums[6] = s6; sums[7] = s7;
      for (let j = 0, to = at + o * stride; j < wide; j++, to += stride) out[to] = sums[j] + (bias ? bias[o + j] : 0);
    }
  }

  readonly #sums = new Float64Array(WIDE);
}
