import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { formatCount } from "../../src/format.ts";
import type { LabelState } from "../../src/page/label-state.ts";
import { Notice } from "./parts/words.tsx";

type Choice = "left" | "right" | "tie" | "skip";

const keys: Readonly<Record<string, Choice>> = { "1": "left", "2": "right", "3": "tie", s: "skip" };

/** The page of an annotator: two answers side by side, without names. */
export function LabellingPage() {
  const [state, setState] = useState<LabelState>();
  const [problem, setProblem] = useState<string>();
  const [note, setNote] = useState("");
  const shownAt = useRef(Date.now());
  const isBusy = useRef(false);

  const ask = useCallback(async (path: string, body?: object): Promise<void> => {
    if (isBusy.current) return;
    isBusy.current = true;
    try {
      const sent = body && {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      };
      const response = await fetch(path, sent);
      const read = (await response.json()) as LabelState & { problem?: string }; // as the server writes it
      if (response.ok) setState(read);
      setProblem(response.ok ? undefined : read.problem);
      if (response.status === 409) setState((await (await fetch("api/label")).json()) as LabelState);
      shownAt.current = Date.now();
    } catch {
      setProblem(
        "no answer: whether the label was saved is not known. Is alpagasus view still running? Reload the page; it shows what is left.",
      );
    } finally {
      isBusy.current = false;
    }
  }, []);
  const label = useCallback(
    (choice: Choice) => {
      if (state?.pair) void ask("api/label", { key: state.pair.key, choice, note, ms: Date.now() - shownAt.current });
    },
    [ask, state, note],
  );
  const undo = useCallback(() => {
    if (state?.canUndo) void ask("api/undo", { last: state.last });
  }, [ask, state]);

  useEffect(() => void ask("api/label"), [ask]);
  useEffect(() => setNote(""), [state?.pair?.key]); // a note is about the pair that it was written for
  // with the pair that is shown: a key pressed right after it appears must not be about the one before
  useLayoutEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.target instanceof HTMLTextAreaElement || event.ctrlKey || event.metaKey || event.altKey || event.repeat)
        return;
      const choice = keys[event.key];
      if (choice !== undefined) label(choice);
      else if (event.key === "u") undo();
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [label, undo]);

  if (!state)
    return (
      <main class="empty">{problem === undefined ? <p>Loading …</p> : <Notice kind="alarm">{problem}</Notice>}</main>
    );
  const { annotator, done, total, pair } = state;
  return (
    <main class="labelling">
      <h1>Which answer is better?</h1>
      <p class="quiet">
        {annotator}, {formatCount(done)} of {formatCount(total)} done. Keys: 1 left, 2 right, 3 tie, s skip, u undo.
        <progress max={total} value={done} aria-label="labelled pairs" />
      </p>
      {problem !== undefined && <Notice kind="alarm">{problem}</Notice>}
      {pair ? (
        <>
          <section aria-label="instruction" class="text">
            {pair.instruction}
          </section>
          <div class="two-answers">
            {(["left", "right"] as const).map((side) => (
              <section aria-label={`answer on the ${side}`}>
                {pair.before && <div class="text quiet">{pair.before[side]}</div>}
                <div class="text">{pair[side]}</div>
              </section>
            ))}
          </div>
          <label>
            A note, if you like
            <textarea rows={2} value={note} onInput={({ currentTarget }) => setNote(currentTarget.value)} />
          </label>
          <p class="choices">
            <button type="button" onClick={() => label("left")}>
              left is better (1)
            </button>
            <button type="button" onClick={() => label("right")}>
              right is better (2)
            </button>
            <button type="button" onClick={() => label("tie")}>
              tie (3)
            </button>
            <button type="button" onClick={() => label("skip")}>
              skip (s)
            </button>
            <button type="button" disabled={!state.canUndo} onClick={undo}>
              undo (u)
            </button>
          </p>
        </>
      ) : (
        <p>
          All pairs are labelled. Thank you; you can close this page.{" "}
          <button type="button" disabled={!state.canUndo} onClick={undo}>
            undo (u)
          </button>
        </p>
      )}
    </main>
  );
}
