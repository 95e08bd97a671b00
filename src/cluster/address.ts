import { UsageError } from "../errors.ts";
import { hostVariable } from "../host-variable.ts";
import { withoutPassword } from "../without-password.ts";

/** The address in `ray:http://HEAD:8265`. @throws UsageError when it has another form */
export function readRayAddress(text: string): string {
  const address = /^ray:(https?:\/\/.+)$/.exec(text)?.[1];
  if (address === undefined || !URL.canParse(address))
    throw new UsageError(
      `--on: expected ray: and the address of a Ray cluster's dashboard, as in ray:http://head:8265, got ${JSON.stringify(withoutPassword(text))}`,
    );
  const { username, password } = new URL(address);
  if (username !== "" || password !== "")
    throw new UsageError("--on: expected an address without a password; set RAY_AUTH_TOKEN instead");
  return address.replace(/\/+$/, "");
}

const shared = "RAY_AUTH_TOKEN";

/** The variable with the token of one cluster: `RAY_AUTH_TOKEN_HEAD_EXAMPLE_ORG`. */
function hostToken(address: string): string {
  return hostVariable(shared, new URL(address).hostname);
}

/** The token for a cluster: its host's own, or the one for every cluster. */
export function rayToken(address: string, environment: NodeJS.ProcessEnv): string | undefined {
  return environment[hostToken(address)]?.trim() || environment[shared]?.trim() || undefined;
}

/**
 * A recipe may be somebody else's: the token for every cluster is not sent to one that a recipe names, unless it is on this machine.
 *
 * @throws UsageError when it would be
 */
export function expectOwnToken(address: string, environment: NodeJS.ProcessEnv): void {
  const isHere = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(new URL(address).hostname);
  if (isHere || !environment[shared]?.trim() || environment[hostToken(address)]?.trim()) return;
  throw new UsageError(
    `${shared} is set, and a recipe names this cluster; if it may have a token, set ${hostToken(address)}, else unset ${shared}`,
  );
}
