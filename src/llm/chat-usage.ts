import type { LanguageModelV4Usage } from "@ai-sdk/provider";
import { isEntry } from "./entry.ts";

/** The tokens of a reply. None are known where a prompt or a text has none: nothing is free. */
export function readChatUsage(usage: unknown, text: string): LanguageModelV4Usage {
  const count = (entry: unknown, name: string): number | undefined => {
    const value = isEntry(entry) ? entry[name] : undefined;
    return typeof value === "number" && Number.isFinite(value) ? value : undefined;
  };
  const details = (name: string) => (isEntry(usage) ? usage[name] : undefined);
  /** The larger of two spellings of a count; some always send one as 0. */
  const larger = (...counts: (number | undefined)[]) => {
    const known = counts.filter((one) => one !== undefined);
    return known.length > 0 ? Math.max(...known) : undefined;
  };
  const cached = larger(
    count(details("prompt_tokens_details"), "cached_tokens"),
    count(usage, "cache_read_input_tokens"),
  );
  const reasoning = larger(
    count(details("completion_tokens_details"), "reasoning_tokens"),
    count(usage, "reasoning_tokens"),
  );
  const prompt = count(usage, "prompt_tokens");
  const completion = count(usage, "completion_tokens");
  // some count cached tokens beside the prompt's, or reasoning beside the answer's, and all of them in the total
  const created = count(usage, "cache_creation_input_tokens") ?? 0;
  // what is more than the prompt is not within it
  const beside = [cached ?? 0, created].reduce((sum, one) => sum + (one > (prompt ?? 0) ? one : 0), 0);
  const input = prompt === undefined ? undefined : prompt + beside;
  const written =
    completion !== undefined && reasoning !== undefined && reasoning > completion ? completion + reasoning : completion;
  // what is in the total and nowhere else was written, such as reasoning; unless it is cached tokens that are counted apart
  const apart = (count(usage, "total_tokens") ?? 0) - (input ?? 0) - (written ?? 0);
  const isOfCache = apart > 0 && [cached ?? 0, created, (cached ?? 0) + created].includes(apart);
  const isNothing = input === 0 || (text !== "" && (written ?? 0) + Math.max(0, apart) === 0);
  const isOfPrompt = input !== undefined && isOfCache;
  return {
    inputTokens: {
      total: isNothing ? undefined : isOfPrompt ? input + apart : input,
      noCache: undefined,
      cacheRead: cached,
      cacheWrite: undefined,
    },
    outputTokens: {
      total: written === undefined || isOfPrompt ? written : written + Math.max(0, apart),
      text: undefined,
      reasoning,
    },
  };
}
