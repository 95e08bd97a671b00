import { unseenCharacters } from "./unseen-characters.ts";

/** Quotes a word for a shell, where needed; characters that are not seen by their bytes, as bash, zsh and ksh read them. */
export function shellWord(word: string): string {
  if (/^[\w./:,@%+][\w./:=,@%+#-]*$|^-[\w./:=,@%+#-]*$/.test(word)) return word;
  if (word.search(unseenCharacters) < 0) return `'${word.replaceAll("'", "'\\''")}'`;
  const coded = word
    .replace(/[\\']/g, String.raw`\$&`)
    .replace(unseenCharacters, (character) =>
      Array.from(
        new TextEncoder().encode(character),
        (byte) => String.raw`\x${byte.toString(16).padStart(2, "0")}`,
      ).join(""),
    );
  return `$'${coded}'`;
}

/** The text that `shellWord` wrote between $' and '. */
export function decodeWord(coded: string): string {
  const bytes = (run: string) =>
    new TextDecoder().decode(Uint8Array.from(run.split(String.raw`\x`).slice(1), (byte) => Number.parseInt(byte, 16)));
  return coded.replace(/((?:\\x[0-9a-f]{2})+)|\\(.)/gs, (_, run: string | undefined, sign: string | undefined) =>
    run === undefined ? (sign ?? "") : bytes(run),
  );
}
