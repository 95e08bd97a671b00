// control characters, and marks that change the direction of writing
// oxlint-disable-next-line no-control-regex -- control characters are what it is for
const unseen = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Quotes a word for a shell, where needed; characters that are not seen by their bytes, as bash, zsh and ksh read them. */
export function shellWord(word: string): string {
  if (/^[\w./:,@%+][\w./:=,@%+#-]*$|^-[\w./:=,@%+#-]*$/.test(word)) return word;
  if (word.search(unseen) < 0) return `'${word.replaceAll("'", "'\\''")}'`;
  const coded = word
    .replace(/[\\']/g, String.raw`\$&`)
    .replace(unseen, (character) =>
      Array.from(Buffer.from(character), (byte) => String.raw`\x${byte.toString(16).padStart(2, "0")}`).join(""),
    );
  return `$'${coded}'`;
}

/** The text that `shellWord` wrote between $' and '. */
export function decodeWord(coded: string): string {
  const bytes = (run: string) => Buffer.from(run.replaceAll(String.raw`\x`, ""), "hex").toString();
  return coded.replace(/((?:\\x[0-9a-f]{2})+)|\\(.)/gs, (_, run: string | undefined, sign: string | undefined) =>
    run === undefined ? (sign ?? "") : bytes(run),
  );
}
