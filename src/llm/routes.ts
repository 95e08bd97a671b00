import { Agent, type Dispatcher, Pool, ProxyAgent } from "undici";
import { connectMs, createConnector, passingOverInterim } from "./connect.ts";
import { proxyFor, type Proxies, type Proxy } from "./proxies.ts";

/** How a request gets to its server. */
export interface Route {
  readonly dispatcher: Dispatcher;
  readonly origin: string;
  readonly path: string;
  /** Sent beside the request's own headers. */
  readonly headers: Readonly<Record<string, string>>;
  /** The proxy on its way. */
  readonly proxy?: Proxy | undefined;
}

/**
 * Finds the way of each request: directly, by a tunnel through the proxy for https:, or as a request to the proxy for http:. On all ways a
 * reply has the same limits (undici's own agent for proxies has others for http:).
 */
export function createRoutes(options: Agent.Options, proxies: Proxies): (url: URL) => Route {
  const direct = new Agent({ ...options, connect: createConnector() });
  const tunnels = new Map<string, Dispatcher>();
  const forwards = new Map<string, Dispatcher>();
  const forwardBy = ({ address }: Proxy): Dispatcher => {
    const { protocol, hostname } = new URL(address);
    if (protocol === "http:") return direct;
    const known = forwards.get(address) ?? new Agent({ ...options, connect: createConnector(hostname) }); // the certificate is the proxy's
    forwards.set(address, known);
    return known;
  };
  const tunnelThrough = ({ address }: Proxy): Dispatcher => {
    const known = tunnels.get(address);
    if (known) return known;
    const factory = (origin: string | URL, given: Pool.Options & { connect?: unknown }) =>
      new Pool(origin, { ...given, connect: passingOverInterim(given.connect as ReturnType<typeof createConnector>) }); // the agent's own
    const tunnel = new ProxyAgent({
      ...options,
      uri: address,
      factory,
      connectTimeout: connectMs,
      proxyTls: { allowH2: false }, // of the connection to the proxy, which `options` leave out
      clientFactory: (at: URL, given: object) => new Pool(at, { ...given, headersTimeout: connectMs }), // of its answer to CONNECT
    });
    tunnels.set(address, tunnel);
    return tunnel;
  };
  return (url) => {
    const { origin, pathname, search } = url;
    const path = `${pathname}${search}`;
    const proxy = proxyFor(url.href, proxies);
    if (!proxy) return { dispatcher: direct, origin, path, headers: {} };
    if (url.protocol === "https:") return { dispatcher: tunnelThrough(proxy), origin, path, headers: {}, proxy };
    return {
      dispatcher: forwardBy(proxy),
      origin: new URL(proxy.address).origin,
      path: `${origin}${path}`,
      headers: { host: url.host, ...authorizationOf(proxy) },
      proxy,
    };
  };
}

function authorizationOf({ address }: Proxy): { "proxy-authorization"?: string } {
  const { username, password } = new URL(address);
  if (username === "") return {};
  const name = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { "proxy-authorization": `Basic ${Buffer.from(name).toString("base64")}` };
}
