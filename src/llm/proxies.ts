import { UsageError } from "../errors.ts";
import { withoutPassword } from "../without-password.ts";

/*
 * Proxies, as the environment names them. Lower case wins, as in curl; an empty variable counts as unset, and `host:port` as an
 * http: proxy.
 */

export interface Proxy {
  readonly address: string;
  /** For messages: the address without a password, and the variable. */
  readonly shown: string;
}

export interface Proxies {
  readonly http?: Proxy | undefined;
  readonly https?: Proxy | undefined;
  /** Hosts that are reached without a proxy, as in NO_PROXY. */
  readonly none?: string | undefined;
}

/** @throws UsageError when a variable is not the address of an HTTP proxy */
export function readProxies(environment: NodeJS.ProcessEnv): Proxies {
  const find = (...names: readonly string[]): [name: string, value: string] | undefined => {
    for (const name of names) {
      const value = environment[name]?.trim();
      if (value) return [name, value];
    }
    return undefined;
  };
  const read = (...names: readonly string[]): Proxy | undefined => {
    const found = find(...names, "all_proxy", "ALL_PROXY");
    if (!found) return undefined;
    const [name, value] = found;
    const address = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
    if (!URL.canParse(address) || !/^https?:/i.test(address))
      throw new UsageError(
        `${name}: expected the address of an HTTP proxy, such as http://proxy.example:3128, got ${JSON.stringify(withoutPassword(value))}; change or unset it`,
      );
    const { origin, pathname, search, username, password } = new URL(address);
    if (pathname !== "/" || search !== "")
      throw new UsageError(
        `${name}: expected the address of an HTTP proxy without a path, such as http://proxy.example:3128, got ${withoutPassword(origin)} with one; change or unset it`,
      );
    if ([username, password].some((part) => !isEncoded(part)))
      throw new UsageError(
        `${name}: expected the proxy's name and password with % written as %25, got a % that is no code; change or unset it`,
      );
    return { address, shown: `${origin} (${name})` };
  };
  return {
    http: read("http_proxy", "HTTP_PROXY"),
    https: read("https_proxy", "HTTPS_PROXY"),
    none: find("no_proxy", "NO_PROXY")?.[1],
  };
}

/** Passwords of proxies, which a proxy's error may repeat. @throws UsageError as `readProxies` */
export function proxyPasswords(environment: NodeJS.ProcessEnv): string[] {
  const { http, https } = readProxies(environment);
  return [http, https].flatMap((proxy) => {
    const password = proxy && decodeURIComponent(new URL(proxy.address).password);
    return password ? [password] : [];
  });
}

function isEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** The proxy that a failed request went through; undefined where NO_PROXY names its host, or there is none. */
export function proxyFor(url: string, { http, https, none = "" }: Proxies): Proxy | undefined {
  const { protocol, hostname, port } = new URL(url);
  const isDirect = none.split(/[\s,]+/).some((entry) => {
    const [, host = "", atPort] = /^\*?\.?(.*?)(?::(\d+))?$/.exec(entry.toLowerCase())!;
    if (entry === "*") return true;
    if (host === "" || (atPort !== undefined && atPort !== port)) return false;
    return hostname === host || hostname.endsWith(`.${host}`);
  });
  return isDirect ? undefined : protocol === "https:" ? https : http;
}
