/** What uv and its Python need of this process's environment. The Hub is not asked. */
export const pythonEnvironment: Record<string, string> = {
  HOME: process.env["HOME"] ?? "",
  HF_HUB_OFFLINE: "1",
  ...(Object.fromEntries(Object.entries(process.env).filter(([name]) => /^(uv|pip|ssl|omp)_/i.test(name))) as Record<
    string,
    string
  >),
};
