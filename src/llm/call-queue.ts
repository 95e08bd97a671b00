interface Queued {
  /** Earliest time to make it, in milliseconds; 0 for a call that never had to wait. */
  readonly notBefore: number;
}

/** Calls waiting to be made: delayed calls whose time has come go first, then new calls in order. */
export class CallQueue<Call extends Queued> {
  #timed: Call[] = [];
  #fresh: Call[] = [];
  #freshFrom = 0;

  get size(): number {
    return this.#timed.length + this.#fresh.length - this.#freshFrom;
  }

  /** How many are delayed calls. */
  get timed(): number {
    return this.#timed.length;
  }

  get isEmpty(): boolean {
    return this.size === 0;
  }

  add(call: Call): void {
    if (call.notBefore > 0) this.#timed.push(call);
    else this.#fresh.push(call);
  }

  /** Puts taken calls back to the front, in their order. */
  putBack(calls: readonly Call[]): void {
    const fresh = calls.filter((call) => call.notBefore === 0);
    this.#timed.unshift(...calls.filter((call) => call.notBefore > 0));
    this.#fresh = [...fresh, ...this.#fresh.slice(this.#freshFrom)];
    this.#freshFrom = 0;
  }

  /** Takes calls until `enter` returns false. */
  take(now: number, enter: (call: Call) => boolean): Call[] {
    const taken: Call[] = [];
    let isOpen = true;
    const tryEnter = (call: Call) => {
      isOpen &&= enter(call);
      if (isOpen) taken.push(call);
      return isOpen;
    };
    this.#timed = this.#timed.filter((call) => call.notBefore > now || !tryEnter(call));
    while (this.#freshFrom < this.#fresh.length && tryEnter(this.#fresh[this.#freshFrom]!)) this.#freshFrom++;
    if (this.#freshFrom > 1024) this.putBack([]);
    return taken;
  }

  /** The calls of which one will be next: all delayed ones and the first new one. */
  candidates(): readonly Call[] {
    const next = this.#fresh[this.#freshFrom];
    return next ? [...this.#timed, next] : this.#timed;
  }

  /** Takes all. */
  drain(): Call[] {
    const all = [...this.#timed, ...this.#fresh.slice(this.#freshFrom)];
    this.#timed = [];
    this.#fresh = [];
    this.#freshFrom = 0;
    return all;
  }
}
