import { expect, test } from "vitest";
import { hostVariable } from "../src/host-variable.ts";

test("a host's variable is its own", () => {
  const hosts =
    "a.b.org a-b.org a--b.org a.b.org:80 [2001:db8::1] [2001:db8:1::] [2001::db8:1] [2001:db8:0:1::] [::1] [::1]:80 [1::] [2001:db8::1:2] [2001:db8:1::2] gpu_1.org gpu.1.org a_b.org a__b.org".split(
      " ",
    );
  const variables = hosts.map((host) => hostVariable("KEY", host));
  expect(new Set(variables).size).toBe(hosts.length);
  expect(variables.filter((name) => !/^KEY_[A-Z0-9_]+$/.test(name))).toEqual([]);
  expect(variables[0]).toBe("KEY_A_B_ORG");
});
