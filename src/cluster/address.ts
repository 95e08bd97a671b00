import { UsageError } from "../errors.ts";

/** The address in `ray:http://HEAD:8265`. @throws UsageError when it has another form */
export function readRayAddress(text: string): string {
  const address = /^ray:(https?:\/\/.+)$/.exec(text)?.[1];
  if (address === undefined || !URL.canParse(address))
    throw new UsageError(
      `--on: expected ray: and the address of a Ray cluster's dashboard, as in ray:http://head:8265, got ${JSON.stringify(text)}`,
    );
  const { username, password } = new URL(address);
  if (username !== "" || password !== "")
    throw new UsageError("--on: expected an address without a password; set RAY_AUTH_TOKEN instead");
  return address.replace(/\/+$/, "");
}
