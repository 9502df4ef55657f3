// SPDX-License-Identifier: Apache-2.0
//
// The one Error of everything that is asked of the daemon: problem details (RFC 9457), or that there was no answer.
export type ApiFailure = 'problem' | 'unreachable' | 'unreadable';

export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    readonly failure: ApiFailure,
    // As the HTTP status; 0 where there was no answer.
    readonly status: number,
    readonly title: string,
    // A sentence for the operator, in the daemon's words.
    readonly detail: string,
    // By which the daemon's log and the audit know the request.
    readonly requestId: string | null = null,
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(detail || title);
  }
}

function field(body: unknown, name: string): string {
  if (typeof body !== 'object' || body === null) return '';
  const value = (body as Record<string, unknown>)[name];
  return typeof value === 'string' ? value : '';
}

export function problemOf(response: Response, body: unknown): ApiError {
  const retryAfter = Number(response.headers.get('Retry-After') ?? NaN);
  const detail = field(body, 'detail');
  return new ApiError(
    detail ? 'problem' : 'unreadable',
    response.status,
    field(body, 'title') || response.statusText,
    detail,
    response.headers.get('X-Request-Id'),
    Number.isFinite(retryAfter) ? retryAfter : null,
  );
}

export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError('unreachable', 0, '', error instanceof Error ? error.message : String(error));
}
