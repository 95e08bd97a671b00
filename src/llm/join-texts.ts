/**
 * Texts as one. Those that stand beside each other are one text in pieces; those with something between them (a reasoning, a call of a tool) are
 * lines of their own, or a number at the end of one would run into the next.
 *
 * @param pieces undefined where something stands that is no text
 */
export function joinTexts(pieces: Iterable<string | undefined>): string {
  let text = "";
  let isParted = false;
  for (const piece of pieces) {
    if (piece === undefined) isParted = true;
    else if (piece !== "") {
      text += isParted && text !== "" ? `\n${piece}` : piece;
      isParted = false;
    }
  }
  return text;
}
