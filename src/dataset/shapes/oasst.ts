import type { Row } from "../example.ts";
import { FieldError, type Shape } from "../shape.ts";
import { conversationFields, readTurns } from "./conversation.ts";

/**
 * A tree of messages a row, as OpenAssistant publishes them: a `prompt` with `replies`, each with replies of its own. The conversation
 * is the path that annotators ranked best (at each turn the reply of the lowest `rank`); the tree's other replies are not read.
 */
export const treeShape: Shape = {
  name: "oasst",
  columns: "prompt (a message with text, role and replies)",
  matches: ({ prompt }) => isMessage(prompt) && "replies" in prompt,
  read: (row) => {
    const path: object[] = [];
    if (!isMessage(row["prompt"]))
      throw new FieldError('expected "prompt" to be a message with text and role, got another');
    for (let message: unknown = row["prompt"]; message !== undefined; message = bestReply(message)) {
      if (!isMessage(message))
        throw new FieldError('expected the replies of "prompt" to be messages, got something else');
      path.push({ role: message["role"], content: message["text"] });
    }
    const { message_tree_id: id, ...others } = row;
    return conversationFields(readTurns(path, "prompt"), { row: { id, ...others }, place: '"prompt"' });
  },
};

function isMessage(value: unknown): value is Row {
  return typeof value === "object" && value !== null && typeof (value as Row)["text"] === "string";
}

function bestReply(message: Row): unknown {
  const replies = message["replies"];
  const there = (Array.isArray(replies) ? (replies as unknown[]) : [])
    .filter(isMessage)
    .filter(({ deleted }) => deleted !== true);
  const rankOf = ({ rank }: Row) => (typeof rank === "number" ? rank : Infinity);
  return there.toSorted((a, b) => compare(rankOf(a), rankOf(b)))[0];
}

function compare(a: number, b: number): number {
  return a === b ? 0 : a - b;
}
