/** An address, or several with commas between them, without the name and the password in it; written with a scheme or without. */
export function withoutPassword(address: string): string {
  const end = address.indexOf("#"); // a model's name follows, which may have an @
  const [before, after] = end < 0 ? [address, ""] : [address.slice(0, end), address.slice(end)];
  return before.split(",").map(withoutOne).join(",") + after;
}

function withoutOne(address: string): string {
  const at = address.lastIndexOf("@");
  if (at < 0) return address;
  const [scheme = ""] = /^\s*(?:ray:)?(?:(?:https?|ftp|wss?|socks\w*):)?[\\/]*/i.exec(address) ?? [];
  return scheme + address.slice(at + 1);
}

/** A text without the names and passwords of addresses in it. */
export function withoutPasswords(text: string): string {
  // a name and a password; or a password with a slash in it, which must not be a port and a path
  return text.replaceAll(
    /([a-z][a-z0-9+.-]*:[\\/]{2})(?:[^/\s"'<>#?]*@|[^\s"'<>@:/#?]+:(?!\d*\/)[^\s"'<>@#?]*@)/gi,
    "$1",
  );
}
