// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { alertKey, holdingOf, type Alert } from './told.svelte';

const alert = (message: string, more: Partial<Alert> = {}): Alert => ({ kind: 'volume-not-served', severity: 'critical', message, since: '2026-11-29T18:00:00Z', ...more });

test('what holds now is told by the status, with what more is known of it', () => {
  const [shop, mail] = [alert('shop is not served'), alert('mail is not served')];
  const over = alert('log is not served', { ended: '2026-11-29T18:05:00Z' });
  expect(holdingOf([], ['shop is not served'])).toEqual({ alerts: [], texts: ['shop is not served'] });
  expect(holdingOf([shop, mail, over], ['mail is not served'])).toEqual({ alerts: [mail], texts: [] });
  expect(holdingOf([shop, over], ['log is not served', 'shop is not served'])).toEqual({ alerts: [shop], texts: ['log is not served'] });
  expect(holdingOf([shop], [])).toEqual({ alerts: [], texts: [] });
});

test('one that comes again is another one', () => {
  const first = alert('shop is not served', { volume_id: 'a' });
  expect(alertKey(first)).not.toBe(alertKey({ ...first, since: '2026-11-29T19:00:00Z' }));
  expect(alertKey(first)).not.toBe(alertKey({ ...first, volume_id: 'b' }));
});
