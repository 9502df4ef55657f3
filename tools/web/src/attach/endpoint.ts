// SPDX-License-Identifier: Apache-2.0
//
// Where a volume is found, out of the URIs that the daemon tells: nbds://HOST:PORT/NAME, nbd://..., and
// nbd+unix:///NAME?socket=PATH.
export type Endpoint =
  | { kind: 'tls' | 'plain'; host: string; port: number; name: string; isLoopback: boolean }
  | { kind: 'unix'; socket: string; name: string };

const kWildcards = new Set(['0.0.0.0', '::', '']);
const isLoopbackHost = (host: string) => /^(127\.|::1$|localhost$)/.test(host);

// `here` is the name by which this page was found: what a daemon that listens everywhere is best called.
export function endpointOf(uri: string, here: string): Endpoint | undefined {
  const match = /^(nbds?|nbds?\+unix):\/\/([^/]*)\/([^?]*)(?:\?(.*))?$/.exec(uri);
  if (match === null) return undefined;
  const [, scheme = '', authority = '', path = '', query = ''] = match;
  const name = decodeURIComponent(path);
  if (scheme.endsWith('+unix')) {
    const socket = new URLSearchParams(query).get('socket');
    return socket === null ? undefined : { kind: 'unix', socket, name };
  }
  const [, bracketed, bare = '', port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(authority) ?? [];
  const listens = bracketed ?? bare;
  const host = kWildcards.has(listens) ? here : listens;
  return {
    kind: scheme === 'nbds' ? 'tls' : 'plain',
    host,
    port: port === undefined ? 10809 : Number(port),
    name,
    isLoopback: isLoopbackHost(host),
  };
}
