const abandoned = new WeakSet<object>();
let isAny = false;

/** Leaves a database to its query, which cannot be stopped: it is not closed, and goes away with the process. */
export function abandon(connection: object): void {
  abandoned.add(connection);
  isAny = true;
}

export function isAbandoned(connection: object): boolean {
  return abandoned.has(connection);
}

/** Whether a query may still run. */
export function hasAbandoned(): boolean {
  return isAny;
}
