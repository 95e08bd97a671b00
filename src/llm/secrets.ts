/** The `problem` of a missing or malformed API key, if any. */
export function describeKey(name: string, key: string | undefined, variables: readonly string[]): { problem?: string } {
  const variable = variables.join(" or ");
  if (key === undefined)
    return { problem: `${name}: expected a key in ${variable}, got none; set it in the environment or in a file .env` };
  if (!/^[\x21-\x7e]+$/.test(key))
    return { problem: `${name}: expected the key in ${variable} to be plain characters without spaces, got others` };
  return {};
}

/** Removes a key from texts, also as it stands in addresses and in Base64. To be used on whole texts, before they are cut. */
export function redactor(key: string | undefined): (text: string) => string {
  if (key === undefined || key.length < 4) return (text) => text;
  const bytes = Buffer.from(key);
  const forms = [key, encodeURIComponent(key), bytes.toString("base64"), bytes.toString("base64url")];
  return (text) => forms.reduce((clean, form) => clean.replaceAll(form, "[key]"), text);
}
