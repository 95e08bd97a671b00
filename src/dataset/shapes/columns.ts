import {
  isPlain,
  renderBefore,
  renderTurn,
  splitReasoning,
  type ChatTurn,
  type Conversation,
} from "../conversation.ts";
import type { ExampleFields, Row } from "../example.ts";
import { optionalLabel, optionalText, requireText, type Shape } from "../shape.ts";
import {
  readHistory,
  readReference,
  readSystem,
  readTemplateOptions,
  readTools,
  withoutOtherMeanings,
  otherMeanings,
} from "./beside.ts";
import { readTurns } from "./conversation.ts";

/** Which column holds which field. */
export interface ColumnMap {
  readonly instruction: string;
  readonly input?: string;
  readonly output: string;
  readonly category?: string;
  readonly id?: string;
  /** A system text. */
  readonly system?: string;
  /** An answer that is known to be good. */
  readonly reference?: string;
  /** Earlier turns, as a list of pairs of the user's and the assistant's words (LLaMA-Factory). */
  readonly history?: string;
}

/** A shape in which every field is a column of its own; `input`, `category` and `id` may be absent or null. */
export function columnsShape(name: string, map: ColumnMap): Shape {
  return {
    name,
    columns: [map.instruction, map.input && `${map.input} (optional)`, map.output].filter(Boolean).join(", "),
    matches: (row) => Object.hasOwn(row, map.instruction) && Object.hasOwn(row, map.output),
    read: (row) => readColumns(row, map),
    passesOver: (row) => otherMeanings(row).filter((column) => !Object.values(map).includes(column)),
  };
}

function readColumns(row: Row, map: ColumnMap): ExampleFields {
  const fields: ExampleFields = {
    instruction: requireText(row, map.instruction),
    input: (map.input === undefined ? undefined : optionalText(row, map.input)) ?? "",
    output: requireText(row, map.output),
    category: map.category === undefined ? undefined : optionalLabel(row, map.category),
    id: map.id === undefined ? undefined : optionalLabel(row, map.id),
    ...readReference(row, map.reference),
  };
  const answer = splitReasoning({ role: "assistant", text: fields.output });
  const isAlone =
    map.system === undefined && map.history === undefined && besideNames.every((name) => row[name] == null);
  if (isAlone && answer.reasoning === undefined) return fields;
  const { before, ...offered } = readBeside(row, map);
  const { instruction, input } = fields;
  const asked = input === "" ? instruction : `${instruction}\n\n${input}`;
  const conversation = {
    turns: [...before, { role: "user", text: asked } as const],
    answer,
    ...offered,
  };
  if (isPlain(conversation)) return fields;
  return {
    ...fields,
    ...(before.length > 0 && { instruction: renderBefore(conversation), input: "" }),
    output: renderTurn(answer),
    conversation,
  };
}

const besideNames = ["system", "system_prompt", "history", "tools", "functions", "chat_template_kwargs"] as const;

/** What stands beside the fields; a column that was named for a field is that field alone. */
function readBeside(row: Row, map: ColumnMap): { readonly before: ChatTurn[] } & Pick<Conversation, "tools"> {
  const taken = new Set<string>(Object.values(map));
  const free = withoutOtherMeanings(
    Object.fromEntries(besideNames.filter((name) => !taken.has(name)).map((name) => [name, row[name]])),
  );
  const messages = (list: unknown[]) => readTurns(list, map.history ?? "history");
  const system = map.system === undefined ? readSystem(free) : readSystem(row, map.system);
  const isCopy = ({ role, text }: ChatTurn) => role === "system" && system.some((turn) => turn.text === text);
  return {
    before: [
      ...system,
      ...(map.history === undefined
        ? readHistory(free, "history", messages)
        : readHistory(row, map.history, messages)
      ).filter((turn) => !isCopy(turn)),
    ],
    tools: readTools(free),
    ...readTemplateOptions(free),
  };
}
