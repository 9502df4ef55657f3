// SPDX-License-Identifier: Apache-2.0
//
// Pages are in the fragment (#/volumes/NAME?at=...), which the daemon never sees. A route is a value; `href` writes
// it, `parse` reads it, and one is the other's inverse.
export type Route =
  | { page: 'overview' }
  | { page: 'volume'; name: string }
  | { page: 'recover'; name: string }
  | { page: 'attach'; name: string }
  | { page: 'report'; name: string }
  | { page: 'copies' }
  | { page: 'jobs' }
  | { page: 'alerts' }
  | { page: 'audit' }
  | { page: 'users' }
  | { page: 'vault' }
  | { page: 'missing'; path: string };
export type Query = Record<string, string>;

const kPlain = ['copies', 'jobs', 'alerts', 'audit', 'users', 'vault'] as const;

function pathOf(route: Route): string {
  switch (route.page) {
    case 'overview':
      return '/';
    case 'volume':
      return `/volumes/${encodeURIComponent(route.name)}`;
    case 'recover':
      return `/volumes/${encodeURIComponent(route.name)}/recover`;
    case 'attach':
      return `/attach/${encodeURIComponent(route.name)}`;
    case 'report':
      return `/report/${encodeURIComponent(route.name)}`;
    case 'missing':
      return route.path;
    default:
      return `/${route.page}`;
  }
}

export function href(route: Route, query: Query = {}): string {
  const text = new URLSearchParams(query).toString();
  return `#${pathOf(route)}${text ? `?${text}` : ''}`;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function parse(hash: string): { route: Route; query: URLSearchParams } {
  const [path = '', query = ''] = hash.replace(/^#/, '').split(/\?(.*)/s, 2);
  const parts = path.split('/').filter(Boolean).map(decode);
  const [first, name, more] = parts;
  let route: Route = { page: 'missing', path };
  if (first === undefined) route = { page: 'overview' };
  else if (first === 'volumes' && name !== undefined && parts.length === 2) route = { page: 'volume', name };
  else if (first === 'volumes' && name !== undefined && more === 'recover') route = { page: 'recover', name };
  else if (first === 'attach' && name !== undefined) route = { page: 'attach', name };
  else if (first === 'report' && name !== undefined) route = { page: 'report', name };
  else {
    const plain = kPlain.find((page) => page === first);
    if (plain !== undefined && parts.length === 1) route = { page: plain };
  }
  return { route, query: new URLSearchParams(query) };
}

class Router {
  #at = $state.raw(parse(typeof location === 'undefined' ? '' : location.hash));
  // Another one for each address that is gone to: then a page is made anew.
  visit = $state(0);

  constructor() {
    if (typeof window === 'undefined') return;
    window.addEventListener('hashchange', () => {
      this.#at = parse(location.hash);
      this.visit += 1;
    });
  }

  get route(): Route {
    return this.#at.route;
  }
  get query(): URLSearchParams {
    return this.#at.query;
  }

  go(route: Route, query: Query = {}): void {
    location.hash = href(route, query);
  }
  // The same page with another query, which leaves no entry in the history and the page as it is: for what changes while
  // one looks.
  replaceQuery(query: Query): void {
    if (href(this.#at.route, query) === location.hash) return;
    history.replaceState(history.state, '', href(this.#at.route, query));
    this.#at = parse(location.hash);
  }
}

export const router = new Router();
