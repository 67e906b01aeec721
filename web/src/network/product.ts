/**
 * c[M, N] = a[M, K] · b[N, K]ᵀ, all row by row. Blocks of four by two numbers stay in registers.
 */
export function product(a: Float32Array, b: Float32Array, c: Float32Array, m: number, n: number, k: number): void {
  let row = 0;
  for (; row + 4 <= m; row += 4) {
    const a0 = row * k, a1 = a0 + k, a2 = a1 + k, a3 = a2 + k;
    let column = 0;
    for (; column + 2 <= n; column += 2) {
      const b0 = column * k, b1 = b0 + k;
      let s00 = 0, s01 = 0, s10 = 0, s11 = 0, s20 = 0, s21 = 0, s30 = 0, s31 = 0;
      for (let i = 0; i < k; i++) {
        const x = b[b0 + i], y = b[b1 + i];
        const p = a[a0 + i], q = a[a1 + i], r = a[a2 + i], s = a[a3 + i];
        s00 += p * x; s01 += p * y;
        s10 += q * x; s11 += q * y;
        s20 += r * x; s21 += r * y;
        s30 += s * x; s31 += s * y;
      }
      const at = row * n + column;
      c[at] = s00; c[at + 1] = s01;
      c[at + n] = s10; c[at + n + 1] = s11;
      c[at + 2 * n] = s20; c[at + 2 * n + 1] = s21;
      c[at + 3 * n] = s30; c[at + 3 * n + 1] = s31;
    }
    if (column < n) {
      const b0 = column * k;
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
      for (let i = 0; i < k; i++) {
        const x = b[b0 + i];
        s0 += a[a0 + i] * x; s1 += a[a1 + i] * x; s2 += a[a2 + i] * x; s3 += a[a3 + i] * x;
      }
      const at = row * n + column;
      c[at] = s0; c[at + n] = s1; c[at + 2 * n] = s2; c[at + 3 * n] = s3;
    }
  }
  for (; row < m; row++) {
    for (let column = 0; column < n; column++) {
      let sum = 0;
      for (let i = 0, p = row * k, q = column * k; i < k; i++) sum += a[p + i] * b[q + i];
      c[row * n + column] = sum;
    }
  }
}
