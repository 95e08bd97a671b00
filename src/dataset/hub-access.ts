import { messageOf, UsageError } from "../errors.ts";

/** A repository on the Hugging Face Hub. */
export interface HubRepo {
  readonly type: "dataset" | "model";
  /** `owner/name` */
  readonly name: string;
}

/** How the Hub is asked: `HF_ENDPOINT` names another one, `HF_TOKEN` opens what is private. */
export function hubAccess(signal?: AbortSignal): {
  readonly hubUrl: string;
  readonly accessToken: string | undefined;
  readonly fetch: typeof fetch;
} {
  return {
    hubUrl: process.env["HF_ENDPOINT"]?.replace(/\/+$/, "") || "https://huggingface.co",
    accessToken: process.env["HF_TOKEN"] || undefined,
    fetch: (url, init) => fetch(url, { ...init, signal: signal ?? null }),
  };
}

/** `hf:owner/name` as a repository. @throws UsageError when it has another form */
export function readHubRepo(text: string, type: HubRepo["type"]): HubRepo {
  const name = /^hf:([\w-][\w.-]*\/[\w-][\w.-]*)$/.exec(text)?.[1];
  if (name === undefined)
    throw new UsageError(`expected hf:owner/name, where it goes on the Hub, got ${JSON.stringify(text)}`);
  return { type, name };
}

/** The licence that a repository's card names; undefined where it names none, or cannot be read. */
export async function licenceOf({ type, name }: HubRepo, signal?: AbortSignal): Promise<string | undefined> {
  const hub = await import("@huggingface/hub");
  const asked = { name, additionalFields: ["tags" as const], ...hubAccess(signal) };
  try {
    const { tags } = type === "dataset" ? await hub.datasetInfo(asked) : await hub.modelInfo(asked);
    return tags?.find((tag) => tag.startsWith("license:"))?.slice("license:".length);
  } catch {
    signal?.throwIfAborted();
    return undefined;
  }
}

/** Why the Hub does not do what it was asked for, and what to do about it. */
export function explainHub(cause: unknown, { type, name }: HubRepo): string {
  const status = typeof cause === "object" && cause !== null && "statusCode" in cause ? cause.statusCode : undefined;
  if (status === 401) return "the Hub does not accept the token; set HF_TOKEN to one that may write";
  if (status === 403) return `the token may not write to ${name}; set HF_TOKEN to one that may, or name another owner`;
  if (status === 404) return `the Hub has no ${type} ${name} that the token may write to`;
  if (status === 413 || status === 507) return `the Hub has no room for it: ${messageOf(cause)}`;
  return `the Hub cannot be reached or gives an invalid answer: ${messageOf(cause)}`;
}
