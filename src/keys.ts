/*
 * The environment variables that hold keys: what a .env file may set, and what programs that we start do not get.
 */

const providerKeys: ReadonlySet<string> = new Set([
  "OPENROUTER_API_KEY",
  "MISTRAL_API_KEY",
  "GROQ_API_KEY",
  "DEEPSEEK_API_KEY",
  "AZURE_OPENAI_API_KEY",
  "AZURE_API_KEY",
  "AWS_BEARER_TOKEN_BEDROCK",
  "GOOGLE_VERTEX_API_KEY",
  "OPENAI_API_KEY",
  "ANTHROPIC_API_KEY",
  "GOOGLE_GENERATIVE_AI_API_KEY",
  "GEMINI_API_KEY",
  "ALPAGASUS_API_KEY",
]);

/** Whether a variable holds a key of a provider of models. */
function isProviderKey(name: string): boolean {
  return providerKeys.has(name) || name.startsWith("ALPAGASUS_API_KEY_");
}

/** Whether a variable holds any key: of a provider, or of the Hugging Face Hub. */
export function isKey(name: string): boolean {
  return isProviderKey(name) || name === "HF_TOKEN";
}

/** What no program that we start needs, beside the keys of providers: secrets of clouds and clusters, which we use ourselves. */
const cloudSecrets = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
const ownSecrets: ReadonlySet<string> = new Set([...cloudSecrets, "RAY_AUTH_TOKEN"]);

/** The secrets of a cloud, for programs that write there: MLflow keeps files in its buckets. */
export function cloudSecretsOf(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(cloudSecrets.map((name) => [name, environment[name]]));
}

/** An environment for programs that need no provider: trainers, servers, installers. */
export function withoutProviderKeys(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(
      ([name]) => !isProviderKey(name) && !ownSecrets.has(name) && !name.startsWith("RAY_AUTH_TOKEN_"),
    ),
  );
}
