// SPDX-License-Identifier: Apache-2.0
//
// The daemon's API, typed by its own description. `await ask(api.GET('/api/status'))` is the answer or throws ApiError.
import createClient, { type Middleware } from 'openapi-fetch';
import { ApiError, asApiError, problemOf } from './error';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];
export { ApiError };

type Hooks = { csrfToken: () => string | null; sessionLost: () => void };
const hooks: Hooks = { csrfToken: () => null, sessionLost: () => undefined };

// The session gives its token, and learns that it is no more.
export function connectSession(session: Hooks): void {
  Object.assign(hooks, session);
}

// Where 401 says that a password or a code was wrong, and not that the session has ended.
const provesWhoOneIs = new Set(['POST /api/session', 'POST /api/setup', 'POST /api/password']);

const sessionToken: Middleware = {
  onRequest({ request }) {
    const token = hooks.csrfToken();
    if (token !== null && request.method !== 'GET') request.headers.set('X-CSRF-Token', token);
    return request;
  },
  onResponse({ request, response, schemaPath }) {
    if (response.status === 401 && !provesWhoOneIs.has(`${request.method} ${schemaPath}`)) hooks.sessionLost();
    return response;
  },
};

export const api = createClient<paths>({
  // At the time of the request, so that a test may put another fetch in its place.
  fetch: (request) => globalThis.fetch(request),
  credentials: 'same-origin',
  cache: 'no-store',
});
api.use(sessionToken);

type Outcome<T> = { data?: T; error?: unknown; response: Response };

export async function ask<T>(outcome: Promise<Outcome<T>>): Promise<NonNullable<T>> {
  let settled: Outcome<T>;
  try {
    settled = await outcome;
  } catch (error) {
    throw asApiError(error);
  }
  const { data, error, response } = settled;
  if (!response.ok || data === undefined || data === null) throw problemOf(response, error);
  return data;
}
