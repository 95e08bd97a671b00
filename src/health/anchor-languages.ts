/** The languages that anchors are written in (ISO 639-1): the same questions, answered in the same ways. */
export const anchorLanguages = ["en", "de", "es", "fr", "zh"] as const;
export type AnchorLanguage = (typeof anchorLanguages)[number];
