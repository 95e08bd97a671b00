/** A word as a shell would read it. */
export function shellWord(word: string): string {
  return /^[\w./:=,@%+#-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
