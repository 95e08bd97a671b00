import { stringify } from "yaml";
import type { TrainingPlan } from "../plan-training.ts";

/** accelerate's settings, `accelerate.yaml`: how processes share the work. */
export function accelerateSettings({ settings: { sharding, precision }, gpus, processes }: TrainingPlan): string {
  const isSharded = sharding === "fsdp" && processes > 1;
  return stringify(
    {
      compute_environment: "LOCAL_MACHINE",
      distributed_type: isSharded ? "FSDP" : processes > 1 ? (gpus > 0 ? "MULTI_GPU" : "MULTI_CPU") : "NO",
      ...(isSharded && {
        fsdp_config: {
          fsdp_version: 2,
          fsdp_auto_wrap_policy: "TRANSFORMER_BASED_WRAP",
          fsdp_state_dict_type: "FULL_STATE_DICT",
          fsdp_reshard_after_forward: true,
        },
      }),
      machine_rank: 0,
      num_machines: 1,
      num_processes: processes,
      mixed_precision: gpus === 0 || precision === "fp32" ? "no" : precision,
      ...(gpus === 0 && { use_cpu: true }),
    },
    { version: "1.1" },
  );
}
