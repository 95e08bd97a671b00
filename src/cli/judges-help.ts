/** The names of judges and rubrics, as help lists them. */
export const judgesHelp = `Judges:
  student              ships with this package, needs no key; imitates GPT-4o-mini on short English instructions
  student:FILE         a student you trained with "alpagasus distill"
  student-lm           the student with a small language model (MiniLM, by uv): sees better whether an answer fits its prompt, some
                       thousand times slower; student-lm:FILE, one that "alpagasus distill --lm" made
  openai:MODEL         a model, with the key in OPENAI_API_KEY
  anthropic:MODEL      likewise, ANTHROPIC_API_KEY
  google:MODEL         likewise, GOOGLE_GENERATIVE_AI_API_KEY
  mistral:MODEL        likewise openrouter:, groq:, deepseek:, azure:, bedrock:, vertex: (docs/servers.md says what each needs)
  http://HOST/v1#MODEL a server with an OpenAI-compatible API: vLLM, Ollama, llama.cpp, LM Studio (a key, if any, in ALPAGASUS_API_KEY)
  recorded:FILE        scores in a file: one a row, or rows with "index" or "id"; FILE#COLUMN names their column.
                       With --as NAME and no #COLUMN, every column of numbers comes in, as NAME.COLUMN
  perplexity:MODEL     no opinion: how likely a model on this machine finds the answer; MODEL is a folder, a Hub id or smollm2
  ifd:MODEL            instruction-following difficulty: that perplexity, divided by the answer's without its prompt
  fit:MODEL            the mean probability of the answer's tokens: choose by it what a base model would say itself (GRAPE)
  reward:MODEL         a reward model on this machine: a folder, or a Hub id of a sequence-classification model with one output
  ifd:http://HOST/v1#MODEL, and so for the others: the same by a vLLM server; several as for judges (docs/servers.md)
  verify:exact         1 where the answer is the row's reference, 0 where it is not; verify:regex, where it matches it;
                       verify:math, where both are equal as mathematics (math-verify)
  column:NAME          a column of the data itself
  run:DIR              the ratings of another run of the same data

Rubrics: alpagasus-accuracy (the paper's), alpagasus-helpfulness, ultrafeedback, deita-quality, deita-complexity, ds2
`;
