/** Control characters, and marks that change the direction of writing: what is not seen, and changes what is. */
// oxlint-disable-next-line no-control-regex -- control characters are what it is for
export const unseenCharacters = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
