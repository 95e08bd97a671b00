import { type Entry, isEntry } from "./entry.ts";
import { joinTexts } from "./join-texts.ts";

/** A content as text: of a list of parts the texts, without reasoning. */
export function readContent(content: unknown): string {
  if (typeof content === "string") return content;
  if (typeof content === "number") return String(content);
  const parts = (Array.isArray(content) ? content : [content]).filter(isEntry);
  return joinTexts(
    parts.map(({ type, text, thought }) => {
      const isText = type === "text" || type === "output_text" || (type == null && thought !== true);
      return isText && typeof text === "string" ? text : undefined;
    }),
  );
}

/** Whether a chunk brings something that is no text: a reasoning, a call of a tool, a part of another kind. */
export function isOtherPart({
  content,
  reasoning_content: apart,
  reasoning = apart,
  tool_calls: calls,
}: Entry): boolean {
  const isPart =
    Array.isArray(content) && content.length > 0 && !content.some((part) => isEntry(part) && "text" in part);
  return isPart || (typeof reasoning === "string" && reasoning !== "") || (Array.isArray(calls) && calls.length > 0);
}
