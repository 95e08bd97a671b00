import { UsageError } from "../errors.ts";
import { tryParse } from "../files/try-parse.ts";
import type { ChatModel } from "./chat-model.ts";

/*
 * A server that measures rows in place of answering them: how likely its model finds an answer (the probabilities of the prompt's own
 * tokens), or the score of a reward model. The engine calls it as any model: what is to be measured is the request's text, and the reply is
 * what was found. So each row is measured once, kept in the call store, and shared among several servers.
 */

/** What is to be measured of a row. */
export interface MeasureRequest {
  /** `answer`: given its prompt. `alone`: by itself. `reward`: the score of a reward model, which is asked for alone. */
  readonly needs: readonly ("answer" | "alone" | "reward")[];
  /** Text, or messages for the model's chat template, with its options. */
  readonly prompt: string | readonly object[];
  readonly answer: string | Readonly<Record<string, unknown>>;
  readonly options?: Readonly<Record<string, unknown>> | undefined;
  /** The most tokens of a row; the server's own limit counts too. */
  readonly maxLength: number;
}

/** The sum of some tokens' negative natural log-probabilities, and how many they are. */
export interface MeasuredSum {
  readonly nll: number;
  readonly tokens: number;
}

/** What was found of what was needed; or why there is nothing. */
export type Measurement =
  | {
      readonly answer?: MeasuredSum | undefined;
      readonly alone?: MeasuredSum | undefined;
      readonly reward?: number | undefined;
      readonly isCut: boolean;
    }
  | { readonly problem: string };

/** The measurement in a reply of {@link toMeasuringModel}'s model; undefined where it holds none. */
export function readMeasurement(text: string): Measurement | undefined {
  const found = tryParse(text);
  return typeof found === "object" && found !== null ? (found as Measurement) : undefined; // written by this client
}

/**
 * A model on one's own servers as one that measures.
 *
 * @throws UsageError when it is behind a provider's API, which tells no probabilities of a prompt
 */
export function toMeasuringModel(model: ChatModel): ChatModel {
  const { identity, embedding: _, batches: __, tellLogprobs: ___, reason: ____, measuring, servers, ...rest } = model;
  if (!measuring && !servers)
    throw new UsageError(
      `${model.name}: expected a server of your own (http://HOST/v1#MODEL), as vLLM: this provider tells no probabilities of a prompt`,
    );
  return {
    ...rest,
    identity: `measured by ${identity}`,
    ...(measuring && { language: measuring }),
    ...(servers && {
      servers: {
        ...servers,
        current: () =>
          servers.current().map((server) => ({ ...server, language: server.measuring ?? server.language })),
      },
    }),
    thinksFirst: false,
  };
}
