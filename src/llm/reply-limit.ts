/** Bytes: a reply of a model is never so large, and a server that sends more would fill the memory. */
export const largestReply = 64 * 1024 * 1024;
