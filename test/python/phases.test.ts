import { expect, test } from "vitest";
import { openPhaseReader } from "../../src/python/uv.ts";

test("phases are uv's until the script says its own, then the script's alone", () => {
  const read = openPhaseReader();
  expect(
    [
      "Downloading torch (731.2MiB)",
      "      Building wheel-of-something @ file:///x",
      "alpagasus: training",
      "Building labels for train dataset:   0%|          | 0/64 [00:00<?, ? examples/s]",
      "Downloading shards: 100%",
      "alpagasus: checking",
    ].map(read),
  ).toEqual([
    "downloading torch (731.2MiB)",
    "building wheel-of-something @ file:///x",
    "training",
    undefined,
    undefined,
    "checking",
  ]);
});
