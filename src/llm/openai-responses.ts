import type {
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4GenerateResult,
  SharedV4ProviderMetadata,
} from "@ai-sdk/provider";
import { messageOf } from "../errors.ts";

/** Names of models that OpenAI serves through its Responses API alone, as far as they are known; others are found by its refusal. */
const onlyResponses = /^(o\d+(-\w+)?-pro|o\d+(-\w+)?-deep-research|gpt-5[\w.]*-(pro|codex)|codex-|computer-use-)/;

/** The phase of a message in which a model tells what it is about to do, before its answer. */
export const commentary = "commentary";

/** A reply without what the model told before its answer. */
function withoutCommentary(result: LanguageModelV4GenerateResult): LanguageModelV4GenerateResult {
  const isAnswer = ({ providerMetadata }: { readonly providerMetadata?: SharedV4ProviderMetadata }) =>
    providerMetadata?.["openai"]?.["phase"] !== commentary;
  return { ...result, content: result.content.filter((part) => part.type !== "text" || isAnswer(part)) };
}

/**
 * A model of OpenAI's by chat completions, or by the Responses API where it has only that: by its name, or because the provider says so. Nothing is
 * stored at the provider.
 */
export function chatOrResponses(chat: LanguageModelV4, responses: LanguageModelV4): LanguageModelV4 {
  let isByResponses = onlyResponses.test(chat.modelId);
  const ask = async (options: LanguageModelV4CallOptions) => {
    const own = { ...options.providerOptions?.["openai"], store: false };
    const providerOptions = { ...options.providerOptions, openai: own };
    return withoutCommentary(await responses.doGenerate({ ...options, providerOptions }));
  };
  return {
    specificationVersion: chat.specificationVersion,
    provider: chat.provider,
    modelId: chat.modelId,
    supportedUrls: chat.supportedUrls,
    async doGenerate(options) {
      if (isByResponses) return ask(options);
      try {
        return await chat.doGenerate(options);
      } catch (cause) {
        // it is refused before it is answered, and not paid: "This model is only supported in v1/responses"
        if (!/only supported in v1\/responses/i.test(messageOf(cause))) throw cause;
        isByResponses = true;
        return ask(options);
      }
    },
    doStream: (options) => (isByResponses ? responses : chat).doStream(options),
  };
}
