// SPDX-License-Identifier: Apache-2.0
// Takes the API's description from a running daemon: openapi.mjs CONTROL_SOCKET
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';

const [socketPath] = process.argv.slice(2);
if (socketPath === undefined) {
  console.error('openapi: give the path of the control socket, such as /var/lib/hindsight/control.sock');
  process.exit(2);
}
request({ socketPath, path: '/api/openapi.json' }, (response) => {
  let text = '';
  response.on('data', (part) => (text += part));
  response.on('end', () => writeFileSync('src/api/openapi.json', `${JSON.stringify(JSON.parse(text), null, 2)}\n`));
}).end();
