/** An address without the name and the password in it. */
export function withoutPassword(address: string): string {
  return address.replace(/\/\/[^/]*@/, "//");
}

/** A text without the names and passwords of addresses in it. */
export function withoutPasswords(text: string): string {
  return text.replaceAll(/\/\/[^/\s]*@/g, "//");
}
