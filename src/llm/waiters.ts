/** Callers that wait for room in an engine's queue, or until it is idle. */
export class Waiters {
  #room: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;
  #idle: (() => void)[] = [];

  waitForRoom(): Promise<void> {
    if (!this.#room) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#room = { promise, resolve };
    }
    return this.#room.promise;
  }

  waitForIdle(): Promise<void> {
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  wake({ hasRoom, isIdle }: { readonly hasRoom: boolean; readonly isIdle: boolean }): void {
    if (hasRoom) {
      this.#room?.resolve();
      this.#room = undefined;
    }
    if (isIdle) for (const resolve of this.#idle.splice(0)) resolve();
  }
}
