/** By PyTorch's names, one number in and one out. */
type Arguments = Record<string, number>;

const SELU_ALPHA = 1.6732632423543772, SELU_SCALE = 1.0507009873554805;

/** Abramowitz and Stegun 7.1.26: off by 1.5e-7 at most. */
function erf(x: number): number {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const sum = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - sum * Math.exp(-x * x));
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export const ACTIVATIONS: Record<string, (given: Arguments) => (x: number) => number> = {
  ReLU: () => (x) => (x > 0 ? x : 0),
  LeakyReLU: ({ negative_slope }) => (x) => (x > 0 ? x : negative_slope * x),
  ELU: ({ alpha }) => (x) => (x > 0 ? x : alpha * Math.expm1(x)),
  SELU: () => (x) => SELU_SCALE * (x > 0 ? x : SELU_ALPHA * Math.expm1(x)),
  GELU: () => (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
  SiLU: () => (x) => x * sigmoid(x),
  Softplus: () => (x) => (x > 20 ? x : Math.log1p(Math.exp(x))),
  Hardtanh: () => (x) => Math.min(1, Math.max(-1, x)),
  Tanh: () => Math.tanh,
  Sigmoid: () => sigmoid,
};
