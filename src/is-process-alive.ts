/** Whether there is a process of this number on this machine; one of somebody else's counts. */
export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0); // asks only whether there is such a process
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // it is there, and not ours to signal
  }
}
