import type {ApiProblem} from "./api_types.ts";

const TOKEN_KEY = "framemill.token";

/** The token of this tab; sessionStorage ends with the tab, and no address ever holds it. */
export function read_token(): string | null {
  return sessionStorage.getItem(TOKEN_KEY);
}

export function keep_token(token: string | null): void {
  if (token) sessionStorage.setItem(TOKEN_KEY, token);
  else sessionStorage.removeItem(TOKEN_KEY);
}

/** An answer that says no, or none at all (status 0). The message is for people. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: ApiProblem | null,
    message: string,
  ) {
    super(message);
  }
}

function in_words(problem: ApiProblem): string {
  const all = problem.problems?.length ? problem.problems : [problem];
  return all.map((one) => `${one.where ? one.where + ": " : ""}${one.error}${one.remedy ? "; " + one.remedy : ""}`).join("\n");
}

/** One request with the tab's token. Errors: ApiError. */
export async function request(path: string, options: {method?: string; body?: unknown; signal?: AbortSignal} = {}): Promise<Response> {
  const headers: Record<string, string> = {};
  const token = read_token();
  if (token) headers["Authorization"] = `Bearer ${token}`;
  const init: RequestInit = {method: options.method ?? "GET", headers, credentials: "omit", cache: "no-store"};
  if (options.body !== undefined) {
    headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(options.body);
  }
  if (options.signal) init.signal = options.signal;
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch {
    throw new ApiError(0, null, "The server cannot be reached.");
  }
  if (!response.ok) {
    const problem = (await response.json().catch(() => null)) as ApiProblem | null;
    throw new ApiError(response.status, problem, problem?.error ? in_words(problem) : `The server answered ${response.status}.`);
  }
  return response;
}

export async function ask<T>(path: string, options: {method?: string; body?: unknown; signal?: AbortSignal} = {}): Promise<T> {
  const response = await request(path, options);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export function camera_path(id: string, rest = ""): string {
  return `/api/v1/cameras/${encodeURIComponent(id)}${rest}`;
}
