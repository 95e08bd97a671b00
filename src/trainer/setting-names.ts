/** How attention is computed, by the names of transformers. */
export const attentionNames = ["eager", "sdpa", "flex_attention", "flash_attention_2", "flash_attention_3"] as const;

/** Which checkpoints are kept: the last, or one for each epoch. */
export const keepNames = ["last", "epochs"] as const;
