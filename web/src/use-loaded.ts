import { useEffect, useRef, useState } from "preact/hooks";

export interface Loaded<T> {
  /** The value loaded last; kept while the next one loads, so that the page does not jump. */
  readonly value: T | undefined;
  readonly problem: string | undefined;
  readonly isLoading: boolean;
}

/** Loads again whenever the key changes, after `delayMs` except the first time. Late answers for older keys are dropped. */
export function useLoaded<T>(key: string, load: () => Promise<T>, delayMs = 0): Loaded<T> {
  const [loaded, setLoaded] = useState<Loaded<T>>({ value: undefined, problem: undefined, isLoading: true });
  const isFirst = useRef(true);
  useEffect(() => {
    let isCurrent = true;
    setLoaded(({ value }) => ({ value, problem: undefined, isLoading: true }));
    const start = () => {
      load().then(
        (value) => isCurrent && setLoaded({ value, problem: undefined, isLoading: false }),
        (error: unknown) => {
          const problem = error instanceof Error ? error.message : String(error);
          if (isCurrent) setLoaded({ value: undefined, problem, isLoading: false });
        },
      );
    };
    const timer = window.setTimeout(start, isFirst.current ? 0 : delayMs);
    isFirst.current = false;
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [key]);
  return loaded;
}
