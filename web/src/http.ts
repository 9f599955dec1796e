/** Talking to the service that this page came from. */

/** The service answered, but not with what was asked for. */
export class RequestError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly body: unknown,
  ) {
    super(message);
  }
}

/** Nobody answered: the service is stopped, or the way to it is cut. */
export class UnreachableError extends Error {}

export async function request<Answer>(method: "GET" | "POST" | "PUT", path: string, body?: unknown): Promise<Answer> {
  let answer: Response;
  let text: string;
  try {
    const content = body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
    answer = await fetch(path, { method, cache: "no-store", credentials: "same-origin", ...content });
    text = await answer.text();
  } catch (error) {
    throw new UnreachableError(String(error));
  }
  let parsed: unknown = null;
  try {
    parsed = text ? JSON.parse(text) : null;
  } catch {
    throw new RequestError(answer.status, `expected JSON from ${path}, got something else`, text);
  }
  if (!answer.ok) {
    const told = (parsed as { error?: { message?: string } } | null)?.error?.message;
    throw new RequestError(answer.status, told ?? `${path}: ${answer.status} ${answer.statusText}`, parsed);
  }
  return parsed as Answer;
}

/** A path with a file name in it, whatever letters that has. */
export function pathTo(folder: string, name: string): string {
  return `${folder}/${encodeURIComponent(name)}`;
}
