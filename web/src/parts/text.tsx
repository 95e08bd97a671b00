import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { formatCount } from "../../../src/format.ts";
import type { PageText } from "../../../src/page/contract.ts";

/*
 * Shows foreign text. It is never used as markup, and invisible characters are written out: control codes, marks that
 * change the direction of writing, unpaired surrogates.
 */

const unseen =
  // oxlint-disable-next-line no-control-regex -- control characters are what it is for
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** A text as it is, with invisible characters written out. */
export function Plain({ children: text }: { children: string }) {
  const parts: ComponentChildren[] = [];
  let from = 0;
  for (const { 0: character, index } of text.matchAll(unseen)) {
    parts.push(text.slice(from, index), <Code character={character} />);
    from = index + character.length;
  }
  parts.push(text.slice(from));
  return <>{parts}</>;
}

function Code({ character }: { character: string }) {
  return <span class="unseen">{`U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`}</span>;
}

const shownCharacters = 10_000; // of a long text, until the reader asks for all of it

/** A whole text in a box of its own. */
export function LongText({ whole: { text, cut }, label }: { whole: PageText; label: string }) {
  const [isWhole, setWhole] = useState(false);
  const isLong = text.length > shownCharacters && !isWhole;
  return (
    <div class="long-text" role="group" aria-label={label}>
      {text === "" ? (
        <p class="quiet">empty</p>
      ) : (
        <div class="foreign" dir="auto">
          <Plain>{isLong ? text.slice(0, shownCharacters) : text}</Plain>
        </div>
      )}
      {isLong && (
        <button type="button" onClick={() => setWhole(true)}>
          Show all {formatCount(text.length)} characters
        </button>
      )}
      {cut !== undefined && (
        <p class="quiet">… and {formatCount(cut)} more characters, which this report leaves out to save space</p>
      )}
    </div>
  );
}
