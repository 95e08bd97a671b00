/** An address, or several with commas between them, without the name and the password in it; written with a scheme or without. */
export function withoutPassword(address: string): string {
  const wild = oddPassword.exec(address);
  if (wild) return withoutPassword(`${wild[1]!}${address.slice(wild[0].length)}`);
  const end = address.indexOf("#"); // a model's name follows, which may have an @
  const [before, after] = end < 0 ? [address, ""] : [address.slice(0, end), address.slice(end)];
  return before.split(",").map(withoutOne).join(",") + after;
}

/** A name and a password with a character that ends an address or what it names: what looks like a port is none. */
const oddPassword = /^(\s*(?:ray:)?[a-z][a-z0-9+.-]*:\/\/)[^/@\s:[]+:(?!\d{1,5}(?:[/#?,]|$))[^@]*@/i;

function withoutOne(address: string): string {
  const query = address.indexOf("?"); // a key may stand there
  const bare = query < 0 || address.indexOf("@", query) >= 0 ? address : `${address.slice(0, query)}?…`;
  const at = bare.lastIndexOf("@");
  if (at < 0) return bare;
  const [scheme = ""] = /^\s*(?:ray:)?(?:(?:https?|ftp|wss?|socks\w*):)?[\\/]*/i.exec(bare) ?? [];
  return scheme + withoutOne(bare.slice(at + 1));
}

/** A text without the names and passwords of addresses in it. */
export function withoutPasswords(text: string): string {
  // a name and a password; or a password with a slash in it, which must not be a port and a path
  return text.replaceAll(
    /([a-z][a-z0-9+.-]*:[\\/]{2})(?:[^/\s"'<>#?]*@|[^\s"'<>@:/#?]+:(?!\d*\/)[^\s"'<>@#?]*@)/gi,
    "$1",
  );
}
