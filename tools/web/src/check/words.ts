// SPDX-License-Identifier: Apache-2.0
import { bytes } from '../app/time/index.svelte';
import { t } from './messages';
import type { Check, FileSystem } from './verdict';

// "ext4 “shop”, 64 MiB", with its partition where it is in one.
export function fileSystemText(found: FileSystem): string {
  const label = found.label ? ` “${found.label}”` : '';
  const type = found.type === 'unknown' ? t('unknown') : found.type;
  const name = `${type}${label}, ${bytes(found.bytes)}`;
  return found.partition === undefined ? name : t('onPartition', { name, partition: String(found.partition) });
}

// Of a job in a list: each file system with its outcome.
export function summaryText(check: Check): string {
  return check.file_systems.map((found) => `${fileSystemText(found)}: ${t(found.outcome)}`).join('; ');
}
