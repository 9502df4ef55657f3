// SPDX-License-Identifier: Apache-2.0
//
// For tests: an appliance that is a function. To be imported before anything that imports the client, which keeps the
// Request that there is then.
export type Call = {
  method: string;
  path: string;
  query: URLSearchParams;
  key: string | null;
  body: Record<string, unknown>;
  signal: AbortSignal;
};

const kOrigin = 'https://vault.example';
const OriginalRequest = globalThis.Request;

// A page's addresses are relative to it; Node knows no page.
globalThis.Request = class extends OriginalRequest {
  constructor(input: string | URL | Request, init?: RequestInit) {
    super(typeof input === 'string' ? new URL(input, kOrigin) : input, init);
  }
};

// From now on all requests are answered by it, and kept in what is returned. What it throws is a network that failed;
// a Response is answered as it is, anything else as JSON.
export function fakeApi(answer: (call: Call) => unknown): Call[] {
  const calls: Call[] = [];
  globalThis.fetch = async (input) => {
    const request = input as Request;
    const { pathname, searchParams } = new URL(request.url);
    const text = request.method === 'POST' ? await request.text() : '{}';
    const call = {
      method: request.method,
      path: pathname,
      query: searchParams,
      key: request.headers.get('Idempotency-Key'),
      body: JSON.parse(text) as Record<string, unknown>,
      signal: request.signal,
    };
    calls.push(call);
    const told = await answer(call);
    return told instanceof Response ? told : Response.json(told);
  };
  return calls;
}

export function problem(status: number, detail: string): Response {
  return Response.json({ type: 'about:blank', title: '', status, detail }, { status });
}
