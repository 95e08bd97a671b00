import { APICallError } from "@ai-sdk/provider";
import { tryParse } from "../files/try-parse.ts";
import type { LanguageClient } from "./chat-model.ts";
import { isEntry } from "./entry.ts";
import type { ProviderName } from "./model-name.ts";
import { hasSeveral, readProviderReply } from "./provider-reply.ts";

/*
 * Replies that an AI SDK client refuses for a part of them that is not as it expects, and that nobody needs: a choice without its number, a kind
 * of block or citation that is new. They are paid, and their text and tokens can be read.
 */

/** The client, whose refused replies are read once more by what the provider's protocol says of texts and tokens. */
export function readLeniently(client: LanguageClient, provider: ProviderName): LanguageClient {
  return {
    async doGenerate(options) {
      try {
        const result = await client.doGenerate(options);
        const body = result.response?.body;
        const found = hasSeveral(body) ? readProviderReply(provider, body) : undefined;
        if (!found) return result;
        const { content, finishReason, providerMetadata } = found; // token probabilities are those of its choice
        const { providerMetadata: _, ...others } = result;
        return { ...others, content, finishReason, ...(providerMetadata && { providerMetadata }) };
      } catch (error) {
        if (!APICallError.isInstance(error)) throw error;
        const said: unknown = error.responseBody; // an object where the client gave it a status of its own
        if (error.statusCode !== 200 && !isEntry(said)) throw error;
        const body = typeof said === "string" ? tryParse(said) : said;
        const found = readProviderReply(provider, body);
        if (!found) throw error;
        return { ...found, response: { ...found.response, headers: error.responseHeaders ?? {}, body } };
      }
    },
  };
}
