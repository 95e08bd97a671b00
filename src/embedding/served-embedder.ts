import { UsageError } from "../errors.ts";
import { createAsker, type AskerOptions } from "../judge/asker.ts";
import { openAsker, type OpenAskerOptions } from "../judge/open-asker.ts";
import { askInOrder } from "../llm/ask-in-order.ts";
import type { ChatModel } from "../llm/chat-model.ts";
import type { EngineOptions } from "../llm/engine.ts";
import { fromBase64, toEmbeddingModel } from "../llm/open-embedding.ts";
import { openModel } from "../llm/open-model.ts";
import { flatPrice } from "../llm/price.ts";
import type { CallOutcome } from "../llm/reply.ts";
import type { ModelRequest } from "../llm/request.ts";
import { type Embedded, emptyText } from "../vectors/embedded.ts";
import { type Embedder, toUnitLength } from "./embedder.ts";

/**
 * Opens a model behind an API: `openai:text-embedding-3-small`, `google:gemini-embedding-001`, `http://127.0.0.1:8000/v1#bge-m3`. Each
 * text is one call of the engine: it is kept in the call store, paid once, and counted in the run's budget.
 *
 * @throws UsageError when the name or an option is invalid, or the provider has no such models
 */
export async function openServedEmbedder(name: string, options: OpenAskerOptions): Promise<Embedder> {
  const { price: given, batch, concurrency, isFromRecipe } = options;
  if (batch) throw new UsageError("--batch: vectors are asked for directly; leave it out");
  const price = given && flatPrice(given.input, given.output);
  const model = await toEmbeddingModel(await openModel(name, { price, connections: concurrency, isFromRecipe }));
  const opened = await openAsker(model, options, createEmbedder);
  return { ...opened, name: opened.asker.name, close: () => Promise.resolve(opened.close()) };
}

function createEmbedder(model: ChatModel, asking: EngineOptions & Pick<AskerOptions, "maxOutputTokens" | "reasoning">) {
  const { asker, engine, sampling, notes } = createAsker(model, {
    ...asking,
    maxOutputTokens: 0, // a vector is no text: nothing but what is read is paid
    rubric: { hash: "vectors", sampling: { max_output_tokens: 0, temperature: 0, top_p: undefined } },
  });
  const ask = (text: string): readonly ModelRequest[] =>
    text.trim() === "" ? [] : [{ messages: [{ role: "user", text }], sampling }];
  let dimensions: number | undefined;
  const read = (outcomes: readonly CallOutcome[]): Embedded => {
    const [outcome] = outcomes;
    if (!outcome) return emptyText;
    if (outcome.state !== "replied") return { state: outcome.state, detail: outcome.detail };
    const found = fromBase64(outcome.text);
    const vector = found && toUnitLength(found);
    if (!vector) return { state: "failed", detail: "the model gives it no vector of finite values" };
    dimensions ??= vector.length;
    if (vector.length !== dimensions)
      return {
        state: "failed",
        detail: `its vector has ${vector.length} values, and those before have ${dimensions}; is it another model now?`,
      };
    return { state: "embedded", vector, isCut: false };
  };
  return {
    asker,
    ask,
    embed: (texts: AsyncIterable<readonly string[]>) =>
      askInOrder(engine, texts, (text) => ({ requests: ask(text), read })),
    notes,
    work: () => {
      const { made, stored, shared } = asker.calls();
      return { done: made + stored + shared, phase: undefined };
    },
  };
}
