/** Quotes a word for a shell, where needed; control characters and marks of direction as bash, zsh and ksh write them. */
export function shellWord(word: string): string {
  if (/^[\w./:,@%+][\w./:=,@%+#-]*$|^-[\w./:=,@%+#-]*$/.test(word)) return word;
  // oxlint-disable-next-line no-control-regex -- control characters are what it is for
  if (!/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/.test(word))
    return `'${word.replaceAll("'", "'\\''")}'`;
  const escaped = word
    .replace(/[\\']/g, String.raw`\$&`)
    // oxlint-disable-next-line no-control-regex -- likewise
    .replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, (character) => {
      const code = character.charCodeAt(0).toString(16);
      return String.raw`\u${code.padStart(4, "0")}`;
    });
  return `$'${escaped}'`;
}
