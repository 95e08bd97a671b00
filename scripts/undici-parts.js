/*
 * The parts of undici that the command line uses. The whole of it, with its own fetch, cache and web sockets, takes twice as
 * long to load. Only the bundle uses this file (rolldown.config.ts); the version is the lockfile's.
 */
import api from "undici/lib/api/index.js";
import Dispatcher from "undici/lib/dispatcher/dispatcher.js";

Object.assign(Dispatcher.prototype, api); // as undici's own index does: a tunnel through a proxy needs `connect`

export { default as Agent } from "undici/lib/dispatcher/agent.js";
export { default as Pool } from "undici/lib/dispatcher/pool.js";
export { default as ProxyAgent } from "undici/lib/dispatcher/proxy-agent.js";
export { default as buildConnector } from "undici/lib/core/connect.js";
