import { existsSync } from "node:fs";
import { messageOf } from "../errors.ts";
import { CallStore } from "../llm/call-store.ts";
import { whyUnseen } from "../llm/call-store-file.ts";
import type { StoredCall } from "../llm/stored-call.ts";
import { nanosPerUsd } from "../llm/price.ts";
import type { Manifest } from "../run/manifest.ts";
import { readPurse, type RunFolder } from "../run/run-folder.ts";
import type { ReplyReport } from "./contract.ts";

/** Finds models' replies by the keys of their calls. */
export interface Replies extends Disposable {
  /** Undefined if the reply is not in the store. */
  find(call: string): ReplyReport | undefined;
  /** Whether the call store is open. */
  readonly isOpen: boolean;
  /** Why replies cannot be shown. */
  readonly problem?: string | undefined;
}

/** Opens a run's call store to look up replies. Its path comes from the purse, else from the manifest. */
export async function openReplies(run: RunFolder, manifest: Manifest | undefined): Promise<Replies> {
  const named = [
    (await readPurse(run).catch(() => undefined))?.store,
    manifest?.rate?.calls?.store,
    ...Object.values(manifest?.comparisons ?? {}).map(({ calls }) => calls?.store),
  ].filter((path) => path !== undefined);
  if (named.length === 0) return { isOpen: false, find: () => undefined, [Symbol.dispose]: () => {} };
  const path = named.find((candidate) => existsSync(candidate));
  if (path === undefined)
    return {
      isOpen: false,
      find: () => undefined,
      problem: `${named[0]}: ${named.flatMap((candidate) => whyUnseen(candidate) ?? [])[0] ?? "the call store was not found, so the judges' replies cannot be shown; run this from the folder where the run was made"}`,
      [Symbol.dispose]: () => {},
    };
  let store: CallStore;
  try {
    store = new CallStore(path, { readOnly: true });
    store.find(""); // a damaged file fails only on the first read
  } catch (error) {
    return {
      isOpen: false,
      find: () => undefined,
      problem: `${path}: the judges' replies cannot be shown: ${messageOf(error)}`,
      [Symbol.dispose]: () => {},
    };
  }
  return {
    isOpen: true,
    find(key) {
      const call = findCall(store, key);
      if (!call) return undefined;
      return {
        reply: call.state === "replied" ? { text: call.text } : null,
        ...(call.finish !== null && { finish: call.finish }),
        ...(call.build !== null && { build: call.build }),
        ...(call.usage && { outputTokens: call.usage.outputTokens }),
        ...(call.cost !== null && { costUsd: call.cost / nanosPerUsd }),
        call: key,
      };
    },
    [Symbol.dispose]: () => store[Symbol.dispose](),
  };
}

/** Undefined if the call is not stored or cannot be read. */
function findCall(store: CallStore, key: string): StoredCall | undefined {
  try {
    return store.find(key);
  } catch {
    return undefined;
  }
}
