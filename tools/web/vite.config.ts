// SPDX-License-Identifier: Apache-2.0
//
// HINDSIGHT_API is the daemon that the development server and the preview ask (https://127.0.0.1:8443);
// HINDSIGHT_TLS a directory with server.crt and server.key, by which they serve, as a session's cookie wants.
import { readFileSync } from 'node:fs';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';
import { kPatience } from './browser/patience.ts';

// The policy that hindsightd sends with the page, as it stands there: a constant of adjacent literals.
function policyOf(source: string): string {
  const [, literals] = /kPolicy =\s*((?:"[^"]*"\s*)+);/.exec(source) ?? [];
  if (literals === undefined) throw new Error('page.cc has no kPolicy that can be read');
  return [...literals.matchAll(/"([^"]*)"/g)].map(([, text]) => text).join('');
}
const policy = policyOf(readFileSync(new URL('page.cc', import.meta.url), 'utf8'));

const api = process.env.HINDSIGHT_API ?? 'https://127.0.0.1:8443';
const tls = process.env.HINDSIGHT_TLS;
const https = tls
  ? { cert: readFileSync(`${tls}/server.crt`), key: readFileSync(`${tls}/server.key`) }
  : undefined;
// The daemon compares Origin with Host, so the latter stays as the browser sent it.
const proxy = { '/api': { target: api, changeOrigin: false, secure: false } };

export default defineConfig({
  base: './',
  plugins: [svelte()],
  build: { target: 'es2022', assetsInlineLimit: 0, reportCompressedSize: false, modulePreload: { polyfill: false } },
  // The development server injects style elements, which the policy forbids; it is the preview that is like the daemon.
  server: { host: '127.0.0.1', https, proxy },
  preview: { host: '127.0.0.1', https, proxy, headers: { 'Content-Security-Policy': policy } },
  test: {
    projects: [
      { extends: true, test: { name: 'unit', include: ['src/**/*.test.ts'], environment: 'node' } },
      {
        extends: true,
        test: {
          name: 'browser',
          include: ['browser/**/*.test.ts'],
          environment: 'node',
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 180_000,
          expect: { poll: { timeout: kPatience } },
        },
      },
    ],
  },
});
