import type { ConversationReport, TurnReport } from "../../../src/page/contract.ts";
import { LongText, Plain } from "./text.tsx";

const names: Readonly<Record<TurnReport["role"], string>> = {
  system: "System",
  user: "User",
  assistant: "Assistant",
  tool: "Tool",
};

/** A conversation turn by turn, and the answer that is judged. Tools, their results and reasoning are folded. */
export function ConversationView({ conversation: { tools, turns, answer } }: { conversation: ConversationReport }) {
  return (
    <>
      <h4>Conversation</h4>
      {tools && (
        <details class="turn">
          <summary>Tools that were offered</summary>
          <LongText whole={tools} label="the tools that were offered" />
        </details>
      )}
      <ol class="turns">
        {turns.map((turn, i) => (
          <li class={`turn ${turn.role}`}>
            {turn.role === "tool" ? (
              <details>
                <summary>Tool</summary>
                <LongText whole={turn.text} label={`turn ${i + 1}, what a tool gave`} />
              </details>
            ) : (
              <Turn turn={turn} label={`turn ${i + 1}, ${names[turn.role].toLowerCase()}`} />
            )}
          </li>
        ))}
      </ol>
      <h4>Answer that is judged</h4>
      <Turn turn={answer} label="output" />
    </>
  );
}

function Turn({ turn: { role, text, reasoning, calls = [] }, label }: { turn: TurnReport; label: string }) {
  return (
    <>
      {label !== "output" && <b>{names[role]}</b>}
      {reasoning && (
        <details>
          <summary>Reasoning</summary>
          <LongText whole={reasoning} label={`${label}, reasoning`} />
        </details>
      )}
      {(text.text !== "" || calls.length === 0) && <LongText whole={text} label={label} />}
      {calls.map(({ name, given }) => (
        <details>
          <summary>
            Calls <Plain>{name}</Plain>
          </summary>
          <LongText whole={given} label={`${label}, a call's arguments`} />
        </details>
      ))}
    </>
  );
}
