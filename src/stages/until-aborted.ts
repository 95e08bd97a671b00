/**
 * Items as they come, until a signal: what does not come any more is not waited for. For judges that call no model and run
 * no process of their own: those end by their own signal, when what is in flight is stored.
 *
 * @throws the signal's reason
 */
export async function* untilAborted<T>(items: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason as Error);
  aborted.catch(() => {}); // it may come when nobody waits
  signal.addEventListener("abort", stop, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = await Promise.race([iterator.next(), aborted]);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener("abort", stop);
    const closing = iterator.return?.(); // where it waits for what never comes, this never ends
    if (signal.aborted) closing?.catch(() => {});
    else await closing;
  }
}
