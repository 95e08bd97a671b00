/**
 * The environment variable with a secret of one host: `ALPAGASUS_API_KEY_GPU_EXAMPLE_ORG_8000`. Hosts that differ have variables that
 * differ: a hyphen is two underscores, an underscore three, and the gap in an IPv6 address (`::`) is `_GAP_`.
 *
 * @param prefix the variable with the secret of every host
 * @param host a URL's `host` or `hostname`
 */
export function hostVariable(prefix: string, host: string): string {
  const name = host
    .replace("::", ":gap:") // where it stands tells one address from another
    .replace(/_/g, "___")
    .toUpperCase()
    .replace(/-/g, "__")
    .replace(/[^A-Z0-9_]+/g, "_");
  return `${prefix}_${name}`;
}
