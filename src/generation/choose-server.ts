import { chooseServer, type ServerKind } from "./serve-model.ts";

/** The server that fits this machine, or a Ray cluster: vLLM where there are GPUs. @throws RunError when the cluster cannot be asked */
export async function chooseServerKind(address: string | undefined, signal?: AbortSignal): Promise<ServerKind> {
  if (address === undefined) return chooseServer();
  const { RayCluster } = await import("../cluster/ray.ts");
  const { gpus } = await (await RayCluster.open(address, signal)).resources();
  return gpus > 0 ? "vllm" : "transformers";
}
