/** Runs a job for the newest request only: what came while it ran is dropped, but for the last. */
export function newest<T extends unknown[]>(job: (...request: T) => Promise<void>): (...request: T) => void {
  let waiting: T | null = null, busy = false;
  return async (...request) => {
    waiting = request;
    if (busy) return;
    busy = true;
    try {
      while (waiting) {
        const next: T = waiting;
        waiting = null;
        await job(...next);
      }
    } finally {
      busy = false;
    }
  };
}

/** A job of many parts that ends where a newer one begins: ask `stale` between the parts. */
export function superseding(): (job: (stale: () => boolean) => Promise<void>, afterMs?: number) => void {
  let number = 0;
  return (job, afterMs = 0) => {
    const own = ++number, stale = () => own !== number;
    setTimeout(() => void (stale() || job(stale)), afterMs);
  };
}
