import { ACTIVATIONS } from "./activations";
import { Product } from "./product";

/** A layer as `pocketgan export` describes it: PyTorch's name and arguments, and where its weights lie. */
export interface Entry {
  type: string;
  arguments?: Record<string, any>;
  weights?: Record<string, Place>;
  layers?: Entry[];
}
/** First byte, count, and how many bytes a number has (2: half precision; 4: single). */
export type Place = [number, number, 2 | 4];
export type Shape = number[]; // [features] or [channels, height, width]

/** What a layer does to one image. It may overwrite what it is given; what it returns is its own, and is used again. */
type Step = (x: Float32Array, told: Told) => Float32Array;
interface Told {
  label: number;
}
type Read = (name: string) => Float32Array;
type Made = [Shape, Step];

export interface Network {
  shape: Shape;
  run(z: Float32Array, label: number): Float32Array;
}

/** Build a network once; it then runs without allocating. */
export function build(entries: Entry[], latent: number, weights: (place: Place) => Float32Array): Network {
  const [shape, step] = inOrder(entries, [latent], weights);
  const told = { label: 0 };
  return {
    shape,
    run(z, label) {
      told.label = label;
      return step(z.slice(), told);
    },
  };
}

const size = (shape: Shape): number => shape.reduce((a, b) => a * b, 1);

function inOrder(entries: Entry[], given: Shape, weights: (place: Place) => Float32Array): Made {
  const steps: Step[] = [];
  let shape = given;
  for (const entry of entries) {
    const read: Read = (name) => weights(entry.weights![name]);
    const [made, step] =
      entry.type === "Residual" ? residual(inOrder(entry.layers!, shape, weights)) : layer(entry, shape, read);
    shape = made;
    steps.push(step);
  }
  return [shape, (x, told) => steps.reduce((value, step) => step(value, told), x)];
}

function residual([shape, inner]: Made): Made {
  const kept = new Float32Array(size(shape));
  return [
    shape,
    (x, told) => {
      kept.set(x);
      const change = inner(x, told);
      for (let i = 0; i < kept.length; i++) change[i] += kept[i];
      return change;
    },
  ];
}

function layer(entry: Entry, shape: Shape, read: Read): Made {
  const given = entry.arguments ?? {};
  const bias = entry.weights?.bias ? read("bias") : null;
  switch (entry.type) {
    case "Linear":
      return linear(read("weight"), bias, shape);
    case "Conv2d":
      return convolution(read("weight"), bias, shape, given);
    case "ConvTranspose2d":
      return transposed(read("weight"), bias, shape, given);
    case "Affine":
      return channelwise(shape, read("scale"), read("shift"));
    case "InstanceNorm2d":
      return normalised(shape, shape[0], given.eps, entry.weights?.weight ? read("weight") : null, bias, shape[0]);
    case "GroupNorm":
      return normalised(shape, given.num_groups, given.eps, read("weight"), bias, shape[0]);
    case "LayerNorm":
      return normalised(shape, 1, given.eps, read("weight"), bias, size(shape));
    case "PReLU":
      return pointwise(shape, ACTIVATIONS.LeakyReLU({ negative_slope: read("weight")[0] }));
    case "Upsample":
      return upsampled(shape, given.scale_factor, given.mode);
    case "PixelShuffle":
      return shuffled(shape, given.upscale_factor);
    case "PixelUnshuffle":
      return unshuffled(shape, given.downscale_factor);
    case "MaxPool2d":
    case "AvgPool2d":
      return pooled(shape, given.kernel_size, given.stride, entry.type === "MaxPool2d");
    case "ZeroPad2d":
      return padded(shape, given.padding);
    case "Permute":
      return permuted(shape, given.dims);
    case "Flatten":
      return [[size(shape)], (x) => x];
    case "Unflatten":
      return [given.unflattened_size, (x) => x];
    case "Identity":
      return [shape, (x) => x];
    case "JoinClass":
      return joined(shape, given.classes, entry.weights ? read("table.weight") : null, given.join ?? "concat");
    case "Clusters":
      return clustered(shape, read("anchors"), read("offsets"));
    default:
      if (entry.type in ACTIVATIONS) return pointwise(shape, ACTIVATIONS[entry.type](given));
      throw new Error(`this page does not know the layer ${entry.type}`);
  }
}

function linear(weight: Float32Array, bias: Float32Array | null, shape: Shape): Made {
  const inputs = shape[0], outputs = weight.length / inputs, out = new Float32Array(outputs);
  const product = new Product(outputs, inputs, (o, i) => weight[o * inputs + i]);
  return [
    [outputs],
    (x) => {
      product.clear();
      product.add(x, 0, 0, inputs);
      product.write(out, 0, 1, bias);
      return out;
    },
  ];
}

function convolution(
  weight: Float32Array, bias: Float32Array | null, shape: Shape, given: Record<string, any>,
): Made {
  const [channels, height, width] = shape, outputs = given.out_channels;
  const [kh, kw] = given.kernel_size, [sh, sw] = given.stride, [ph, pw] = given.padding;
  const oh = Math.floor((height + 2 * ph - kh) / sh) + 1, ow = Math.floor((width + 2 * pw - kw) / sw) + 1;
  const product = new Product(outputs, kh * kw * channels, (o, i) => {
    const tap = Math.floor(i / channels), c = i % channels;
    return weight[(o * channels + c) * kh * kw + tap];
  });
  const pairs = reaching(height, width, kh, kw, (y, i) => y * sh - ph + i, (x, j) => x * sw - pw + j, oh, ow);
  return filtered(product, bias, shape, [outputs, oh, ow], pairs);
}

function transposed(
  weight: Float32Array, bias: Float32Array | null, shape: Shape, given: Record<string, any>,
): Made {
  const [channels, height, width] = shape, outputs = given.out_channels;
  const [kh, kw] = given.kernel_size, [sh, sw] = given.stride, [ph, pw] = given.padding;
  const [eh, ew] = given.output_padding ?? [0, 0];
  const oh = (height - 1) * sh - 2 * ph + kh + eh, ow = (width - 1) * sw - 2 * pw + kw + ew;
  const product = new Product(outputs, kh * kw * channels, (o, i) => {
    const tap = Math.floor(i / channels), c = i % channels;
    return weight[(c * outputs + o) * kh * kw + tap];
  });
  const pairs = reaching(height, width, kh, kw, (y, i) => (y + ph - i) / sh, (x, j) => (x + pw - j) / sw, oh, ow);
  return filtered(product, bias, shape, [outputs, oh, ow], pairs);
}

/** For each pixel that is made: which pixels reach it, each with the tap of the filter that it comes through. */
function reaching(
  height: number, width: number, kh: number, kw: number,
  row: (y: number, i: number) => number, column: (x: number, j: number) => number, oh: number, ow: number,
): Int32Array[] {
  const inside = (at: number, side: number): boolean => Number.isInteger(at) && at >= 0 && at < side;
  const made: Int32Array[] = [];
  for (let y = 0; y < oh; y++) {
    for (let x = 0; x < ow; x++) {
      const pairs: number[] = [];
      for (let i = 0; i < kh; i++) {
        for (let j = 0; j < kw; j++) {
          const r = row(y, i), q = column(x, j);
          if (inside(r, height) && inside(q, width)) pairs.push(r * width + q, i * kw + j);
        }
      }
      made.push(Int32Array.from(pairs));
    }
  }
  return made;
}

/** Every pixel that is made: the pixels that reach it, times their taps. Channels lie last while it is done. */
function filtered(
  product: Product, bias: Float32Array | null, [channels, height, width]: Shape, shape: Shape, reach: Int32Array[],
): Made {
  const pixels = height * width, deep = new Float32Array(pixels * channels), out = new Float32Array(size(shape));
  return [
    shape,
    (x) => {
      for (let c = 0, from = 0; c < channels; c++) {
        for (let p = 0, to = c; p < pixels; p++, to += channels) deep[to] = x[from++];
      }
      for (let made = 0; made < reach.length; made++) {
        const pairs = reach[made];
        product.clear();
        for (let n = 0; n < pairs.length; n += 2) {
          product.add(deep, pairs[n] * channels, pairs[n + 1] * channels, channels);
        }
        product.write(out, made, reach.length, bias);
      }
      return out;
    },
  ];
}

function pointwise(shape: Shape, f: (x: number) => number): Made {
  return [
    shape,
    (x) => {
      for (let i = 0; i < x.length; i++) x[i] = f(x[i]);
      return x;
    },
  ];
}

function channelwise(shape: Shape, scale: Float32Array, shift: Float32Array): Made {
  const inner = size(shape) / shape[0];
  return [
    shape,
    (x) => {
      for (let c = 0, i = 0; c < scale.length; c++) {
        for (const end = i + inner; i < end; i++) x[i] = x[i] * scale[c] + shift[c];
      }
      return x;
    },
  ];
}

/** Each group's mean becomes 0 and its variance 1; then the weights, one for each of `channels`. */
function normalised(
  shape: Shape, groups: number, eps: number, weight: Float32Array | null, bias: Float32Array | null, channels: number,
): Made {
  const length = size(shape) / groups, inner = size(shape) / channels;
  return [
    shape,
    (x) => {
      for (let g = 0; g < groups; g++) {
        const begin = g * length, end = begin + length;
        let mean = 0, square = 0;
        for (let i = begin; i < end; i++) mean += x[i];
        mean /= length;
        for (let i = begin; i < end; i++) square += (x[i] - mean) ** 2;
        const scale = 1 / Math.sqrt(square / length + eps);
        for (let i = begin; i < end; i++) {
          const c = Math.floor(i / inner);
          x[i] = (x[i] - mean) * scale * (weight ? weight[c] : 1) + (bias ? bias[c] : 0);
        }
      }
      return x;
    },
  ];
}

function upsampled([channels, height, width]: Shape, factor: number, mode: string): Made {
  const shape = [channels, height * factor, width * factor], out = new Float32Array(size(shape));
  const rows = sources(height, factor, mode), columns = sources(width, factor, mode);
  return [
    shape,
    (x) => {
      let at = 0;
      for (let c = 0; c < channels; c++) {
        for (const [top, below, down] of rows) {
          const first = (c * height + top) * width, second = (c * height + below) * width;
          for (const [left, right, along] of columns) {
            const upper = x[first + left] * (1 - along) + x[first + right] * along;
            const lower = x[second + left] * (1 - along) + x[second + right] * along;
            out[at++] = upper * (1 - down) + lower * down;
          }
        }
      }
      return out;
    },
  ];
}

/** For each pixel of an enlarged side: the two that it lies between, and the share of the second. */
function sources(side: number, factor: number, mode: string): [number, number, number][] {
  return Array.from({ length: side * factor }, (_, i) => {
    if (mode === "nearest") return [Math.floor(i / factor), Math.floor(i / factor), 0];
    const at = Math.max((i + 0.5) / factor - 0.5, 0), low = Math.floor(at);
    return [low, Math.min(low + 1, side - 1), at - low];
  });
}

/** A layer that moves numbers and changes none: `from[i]` is where the i-th comes from, or -1 for a zero. */
function moved(shape: Shape, from: Int32Array): Made {
  const out = new Float32Array(from.length);
  return [
    shape,
    (x) => {
      for (let i = 0; i < from.length; i++) out[i] = from[i] < 0 ? 0 : x[from[i]];
      return out;
    },
  ];
}

function places(shape: Shape, from: (c: number, y: number, x: number) => number): Int32Array {
  const made = new Int32Array(size(shape));
  let at = 0;
  for (let c = 0; c < shape[0]; c++) {
    for (let y = 0; y < shape[1]; y++) for (let x = 0; x < shape[2]; x++) made[at++] = from(c, y, x);
  }
  return made;
}

function shuffled([channels, height, width]: Shape, r: number): Made {
  const shape = [channels / r ** 2, height * r, width * r];
  const from = places(shape, (c, y, x) => {
    const channel = c * r * r + (y % r) * r + (x % r);
    return (channel * height + Math.floor(y / r)) * width + Math.floor(x / r);
  });
  return moved(shape, from);
}

function unshuffled([channels, height, width]: Shape, r: number): Made {
  const shape = [channels * r ** 2, height / r, width / r];
  const from = places(shape, (c, y, x) => {
    const inner = c % (r * r), channel = Math.floor(c / (r * r));
    return (channel * height + y * r + Math.floor(inner / r)) * width + x * r + (inner % r);
  });
  return moved(shape, from);
}

function padded([channels, height, width]: Shape, [left, right, top, bottom]: number[]): Made {
  const shape = [channels, height + top + bottom, width + left + right];
  const from = places(shape, (c, y, x) => {
    const row = y - top, column = x - left;
    return row < 0 || row >= height || column < 0 || column >= width ? -1 : (c * height + row) * width + column;
  });
  return moved(shape, from);
}

function permuted(given: Shape, dims: number[]): Made {
  const order = dims.map((dim) => dim - 1), shape = order.map((dim) => given[dim]);
  const strides = [given[1] * given[2], given[2], 1];
  const from = places(shape, (c, y, x) => c * strides[order[0]] + y * strides[order[1]] + x * strides[order[2]]);
  return moved(shape, from);
}

function pooled([channels, height, width]: Shape, kernel: number, stride: number, greatest: boolean): Made {
  const oh = Math.floor((height - kernel) / stride) + 1, ow = Math.floor((width - kernel) / stride) + 1;
  const shape = [channels, oh, ow], out = new Float32Array(size(shape));
  return [
    shape,
    (x) => {
      let at = 0;
      for (let c = 0; c < channels; c++) {
        for (let r = 0; r < oh; r++) {
          for (let q = 0; q < ow; q++) {
            let value = greatest ? -Infinity : 0;
            for (let i = 0; i < kernel; i++) {
              const from = (c * height + r * stride + i) * width + q * stride;
              for (let j = 0; j < kernel; j++) value = greatest ? Math.max(value, x[from + j]) : value + x[from + j];
            }
            out[at++] = greatest ? value : value / kernel ** 2;
          }
        }
      }
      return out;
    },
  ];
}

/** A learned vector of the class joins what is there; without a table, its one-hot vector. */
function joined(shape: Shape, classes: number, table: Float32Array | null, join: string): Made {
  const length = size(shape), width = table ? table.length / classes : classes;
  if (join === "multiply") {
    return [
      shape,
      (x, { label }) => {
        for (let i = 0; i < length; i++) x[i] *= table![label * width + i];
        return x;
      },
    ];
  }
  const inner = join === "channel" ? 1 : length / shape[0];
  const channels = join === "channel" ? 1 : width;
  const out = new Float32Array(length + width * inner);
  return [
    [shape[0] + channels, ...shape.slice(1)],
    (x, { label }) => {
      out.set(x);
      for (let c = 0, i = length; c < width; c++) {
        const value = table ? table[label * width + c] : Number(c === label);
        for (const end = i + inner; i < end; i++) out[i] = value;
      }
      return out;
    },
  ];
}

/** The first numbers of z choose a cluster, which is the class for what follows. */
function clustered(shape: Shape, anchors: Float32Array, offsets: Float32Array): Made {
  const choosing = anchors.length / offsets.length;
  return [
    shape,
    (x, told) => {
      let best = -Infinity;
      for (let cluster = 0; cluster < offsets.length; cluster++) {
        let sum = offsets[cluster];
        for (let i = 0; i < choosing; i++) sum += x[i] * anchors[cluster * choosing + i];
        if (sum > best) [best, told.label] = [sum, cluster];
      }
      x.fill(0, 0, choosing);
      return x;
    },
  ];
}
