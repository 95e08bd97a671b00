import { messageOf, PythonError } from "../errors.ts";
import { createPooledFetch } from "../llm/pooled-fetch.ts";

const post = createPooledFetch(1, { isHere: true });

/** Posts JSON to a server on this machine and returns its JSON reply. @throws PythonError when there is no valid reply */
export async function postJson(url: URL, body: object, signal?: AbortSignal): Promise<unknown> {
  try {
    const response = await post(url.href, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: signal ?? null,
    });
    if (!response.ok) throw new Error(`status ${response.status}: ${(await response.text()).slice(0, 300)}`);
    return await response.json();
  } catch (cause) {
    signal?.throwIfAborted();
    throw new PythonError(`${url.href}: the model's server does not answer: ${messageOf(cause)}`, { cause });
  }
}
