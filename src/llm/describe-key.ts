/** The `problem` of a missing or malformed API key, if any. */
export function describeKey(name: string, key: string | undefined, variables: readonly string[]): { problem?: string } {
  const variable = variables.join(" or ");
  if (key === undefined)
    return { problem: `${name}: expected a key in ${variable}, got none; set it in the environment or in a file .env` };
  if (!/^[\x21-\x7e]+$/.test(key))
    return { problem: `${name}: expected the key in ${variable} to be plain characters without spaces, got others` };
  return {};
}

export function withoutPassword(text: string): string {
  return text.replace(/\/\/[^@/]*@/, "//");
}

export function redactor(key: string | undefined): (text: string) => string {
  return (text) => (key === undefined || key.length < 4 ? text : text.replaceAll(key, "[key]"));
}
