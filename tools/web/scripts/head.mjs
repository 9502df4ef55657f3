// SPDX-License-Identifier: Apache-2.0
// Puts the licence in front of a generated file.
import { readFileSync, writeFileSync } from 'node:fs';

const file = process.argv[2];
const licence = '// SPDX-License-Identifier: Apache-2.0\n';
writeFileSync(file, licence + readFileSync(file, 'utf8'));
