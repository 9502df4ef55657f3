// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { endpointOf } from './endpoint';
import { certificateSteps, recipes, type Method } from './recipes';

const target = (uri: string) => {
  const endpoint = endpointOf(uri, 'vault.example');
  if (endpoint === undefined) throw new Error(uri);
  return { endpoint, device: '/dev/nbd0', mountPoint: '/srv/shop', certificates: '/etc/hindsight-tls' };
};
const text = (method: Method, uri: string) => recipes(method, target(uri)).map((recipe) => recipe.text).join('\n');

test('URIs are understood, and a daemon that listens everywhere is found where the page was', () => {
  expect(endpointOf('nbds://127.0.0.1:18809/shop', 'x')).toEqual({ kind: 'tls', host: '127.0.0.1', port: 18809, name: 'shop', isLoopback: true });
  expect(endpointOf('nbds://0.0.0.0/shop', 'vault.example')).toEqual({ kind: 'tls', host: 'vault.example', port: 10809, name: 'shop', isLoopback: false });
  expect(endpointOf('nbd://[::]:10810/shop', 'vault.example')).toMatchObject({ kind: 'plain', host: 'vault.example', port: 10810 });
  expect(endpointOf('nbd://[2001:db8::1]:10809/shop', 'x')).toMatchObject({ host: '2001:db8::1', isLoopback: false });
  expect(endpointOf('nbd+unix:///shop?socket=/var/lib/hindsight/nbd.sock', 'x')).toEqual({ kind: 'unix', socket: '/var/lib/hindsight/nbd.sock', name: 'shop' });
  expect(endpointOf('http://x/', 'x')).toBeUndefined();
});

test('with TLS no way goes without, and without none speaks of it', () => {
  for (const method of ['kernel', 'nbdfuse', 'qemu', 'libvirt'] as const) {
    expect(text(method, 'nbds://0.0.0.0:10809/shop'), method).toMatch(/tls/i);
    expect(text(method, 'nbds://0.0.0.0:10809/shop'), method).toContain('/etc/hindsight-tls');
    expect(text(method, 'nbd://10.0.0.1:10809/shop'), method).not.toMatch(/tls/i);
    expect(text(method, 'nbd+unix:///shop?socket=/s/nbd.sock'), method).toContain('/s/nbd.sock');
  }
});

test('nbd-client is not told for what it cannot do', () => {
  expect(text('kernel', 'nbds://0.0.0.0:10809/shop')).not.toContain('nbd-client');
  expect(text('kernel', 'nbd://10.0.0.1:10809/shop')).toContain('/usr/sbin/nbd-client 10.0.0.1 10809 /dev/nbd0 -N shop -b 4096 -persist');
});

test('an IPv6 host stands in brackets where that is an authority', () => {
  expect(text('nbdfuse', 'nbds://[2001:db8::1]:10809/shop')).toContain("'nbds://[2001:db8::1]:10809/shop'");
  expect(text('qemu', 'nbds://[2001:db8::1]:10809/shop')).toContain('server.host=2001:db8::1,server.port=10809');
});

test('fstab waits for the unit that attaches', () => {
  const of = recipes('kernel', target('nbds://0.0.0.0:10809/shop'));
  const unit = of.find(({ part }) => part === 'unit');
  const fstab = of.find(({ part }) => part === 'fstab');
  expect(fstab?.text).toContain(`x-systemd.requires=${unit?.file?.split('/').at(-1) ?? '?'}`);
  expect(unit?.text).toMatch(/^Type=forking$/m);
  expect(unit?.text).toMatch(/^ExecStop=\/usr\/bin\/qemu-nbd --disconnect \/dev\/nbd0$/m);
  expect(certificateSteps('db1', 'shop')).toContain('clients = ["db1 live shop"]');
});
