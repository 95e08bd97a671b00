import { APICallError, type LanguageModelV4, type LanguageModelV4CallOptions } from "@ai-sdk/provider";
import { readResponse } from "./responses-reply.ts";

/** Names of models that OpenAI serves through its Responses API alone, as far as they are known; others are found by its refusal. */
const onlyResponses = /^(o\d+(-\w+)?-pro|o\d+(-\w+)?-deep-research|gpt-5[\w.]*-(pro|codex)|codex-|computer-use-)/;

/** Whether a request was refused, before it was answered or paid, for want of the Responses API; an error may also quote the request. */
function wantsResponses(error: unknown): boolean {
  return (
    APICallError.isInstance(error) &&
    (error.statusCode === 400 || error.statusCode === 404) &&
    /^(this|the) (requested )?model\b.{0,80}\bonly supported in v1\/responses\b/i.test(error.message)
  );
}

/**
 * A model of OpenAI's by chat completions, or by the Responses API where it has only that: by its name, or because the provider says so. Nothing is
 * stored at the provider.
 */
export function chatOrResponses(chat: LanguageModelV4, responses: LanguageModelV4): LanguageModelV4 {
  let isByResponses = onlyResponses.test(chat.modelId);
  let isKnown = isByResponses; // which of the two it has
  const ask = async (options: LanguageModelV4CallOptions) => {
    const own = { ...options.providerOptions?.["openai"], store: false };
    const providerOptions = { ...options.providerOptions, openai: own };
    const result = await responses.doGenerate({ ...options, providerOptions });
    const read = readResponse(result.response?.body);
    return read ? { ...result, content: read.content, finishReason: read.finishReason } : result;
  };
  return {
    specificationVersion: chat.specificationVersion,
    provider: chat.provider,
    modelId: chat.modelId,
    supportedUrls: chat.supportedUrls,
    async doGenerate(options) {
      if (isByResponses) return ask(options);
      try {
        const result = await chat.doGenerate(options);
        isKnown = true;
        return result;
      } catch (refusal) {
        if (isKnown || !wantsResponses(refusal)) throw refusal;
        try {
          const result = await ask(options);
          isByResponses = true;
          isKnown = true;
          return result;
        } catch (error) {
          if (APICallError.isInstance(error) && error.statusCode === 404) throw refusal; // it has neither
          throw error;
        }
      }
    },
    doStream: (options) => (isByResponses ? responses : chat).doStream(options),
  };
}
