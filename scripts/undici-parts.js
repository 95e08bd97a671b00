/*
 * The parts of undici that the command line uses. The whole of it, with its own fetch, cache and web sockets, takes twice as
 * long to load. Only the bundle uses this file (rolldown.config.ts); the version is the lockfile's.
 */
export { default as Agent } from "undici/lib/dispatcher/agent.js";
export { default as EnvHttpProxyAgent } from "undici/lib/dispatcher/env-http-proxy-agent.js";
export { default as buildConnector } from "undici/lib/core/connect.js";
