// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { verdictLook, verdictOf, type FileSystem, type Outcome } from './verdict';
import { fileSystemText, summaryText } from './words';

const found = (outcome: Outcome, more: Partial<FileSystem> = {}): FileSystem => ({ offset: 0, bytes: 64 << 20, type: 'ext4', outcome, ...more });
const of = (...outcomes: Outcome[]) => verdictOf({ nothing_known: false, file_systems: outcomes.map((outcome) => found(outcome)) });

test('the gravest of what was found decides', () => {
  expect(of('clean')).toBe('clean');
  expect(of('clean', 'recovered')).toBe('recovered');
  expect(of('recovered', 'not_checked', 'clean')).toBe('not_checked');
  expect(of('not_checked', 'needs_mount')).toBe('needs_mount');
  expect(of('clean', 'damaged', 'needs_mount')).toBe('damaged');
});

test('nothing that is known is not the same as a table without file systems, and neither is clean', () => {
  expect(verdictOf({ nothing_known: true, file_systems: [] })).toBe('nothing_known');
  expect(of()).toBe('no_file_system');
  expect(verdictLook.nothing_known.tone).toBe('warning');
  expect(verdictLook.no_file_system.tone).not.toBe('ok');
});

test('only what was found clean is green, and only damage is red', () => {
  const ofTone = (wanted: string) => Object.entries(verdictLook).filter(([, { tone }]) => tone === wanted).map(([verdict]) => verdict);
  expect(ofTone('ok')).toEqual(['clean', 'recovered']);
  expect(ofTone('danger')).toEqual(['damaged']);
});

test('a file system is told by what it is called and where it is', () => {
  expect(fileSystemText(found('clean'))).toBe('ext4, 64 MiB');
  expect(fileSystemText(found('clean', { label: 'shop', partition: 2 }))).toBe('ext4 “shop”, 64 MiB on partition 2');
  const stamp = { lsn: 1, time: '', time_utc: '' };
  const check = { point: stamp, size_bytes: 1, partition_table: null, nothing_known: false, notices: [], file_systems: [found('clean'), found('damaged', { type: 'xfs' })] };
  expect(summaryText(check)).toBe('ext4, 64 MiB: Clean; xfs, 64 MiB: Damaged');
});
