import { BlockList, isIP } from "node:net";

/** Addresses that no router of the open network passes on: of this machine, of a site, of a link. */
const closed = new BlockList();
for (const [network, prefix] of [
  ["10.0.0.0", 8],
  ["100.64.0.0", 10], // between a provider and its customers, and of private networks laid over others
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
] as const)
  closed.addSubnet(network, prefix, "ipv4");
for (const [network, prefix] of [
  ["::1", 128],
  ["fc00::", 7],
  ["fe80::", 10],
] as const)
  closed.addSubnet(network, prefix, "ipv6");

/** Names that are given within a site: of one word, or below a name that the open network does not have. */
const closedName = /^[^.]+$|\.(?:local|localhost|internal|intranet|lan|home|corp|private|home\.arpa|svc|consul)$/;

/** Whether what is sent to an address can be read on its way by others: without encryption, over the open network. */
export function isReadByOthers({ protocol, hostname }: URL): boolean {
  if (protocol !== "http:") return false;
  const host = hostname
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/\.$/, "")
    .toLowerCase();
  const version = isIP(host);
  return version === 0 ? !closedName.test(host) : !closed.check(host, version === 6 ? "ipv6" : "ipv4");
}
