/** Quotes a word for a shell, where needed. */
export function shellWord(word: string): string {
  return /^[\w./:=,@%+#-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
