import * as z from "zod";

export const jobSchema = z.object({
  submission_id: z.string().nullish(),
  status: z.string(),
  message: z.string().nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  start_time: z.number().nullish(),
});

/** A job of a cluster. */
export interface RayJob {
  readonly id: string;
  readonly state: "waiting" | "running" | "succeeded" | "failed" | "stopped";
  /** What Ray says about its end. */
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
}

const states: Readonly<Record<string, RayJob["state"]>> = {
  PENDING: "waiting",
  RUNNING: "running",
  SUCCEEDED: "succeeded",
  FAILED: "failed",
  STOPPED: "stopped",
};

/** Whether a job has ended. */
export function isOver({ state }: RayJob): boolean {
  return state !== "waiting" && state !== "running";
}

/** A job as Ray tells it. */
export function toJob({ submission_id: id, status, message, metadata }: z.infer<typeof jobSchema>): RayJob {
  return { id: id ?? "", state: states[status] ?? "running", message: message ?? "", metadata: metadata ?? {} };
}
