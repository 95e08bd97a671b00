/** A call of a tool in a message. */
export interface ToolCall {
  readonly function: { readonly arguments?: unknown };
}

/** The call with its arguments as JSON text, as servers take them: they parse it for their chat templates, which take objects. */
export function toServerCall<Call extends ToolCall>(call: Call): Call {
  const { arguments: given } = call.function;
  const text = typeof given === "string" ? given : JSON.stringify(given);
  return { ...call, function: { ...call.function, arguments: text } };
}
