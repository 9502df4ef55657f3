// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { ApiError } from '../api/error';
import { Submission } from './submission.svelte';

const event = () => new Event('submit', { cancelable: true }) as SubmitEvent;
const never = async () => {
  throw new Error('it was sent');
};

test('a form that is not complete is not sent, and says so', async () => {
  const form = new Submission();
  const sent = event();
  await form.submit(sent, false, never);
  expect([sent.defaultPrevented, form.isTried, form.busy, form.failure]).toEqual([true, true, false, undefined]);
});

test('while it is under way nothing is sent again', async () => {
  const form = new Submission();
  let answer = () => {};
  const first = form.submit(event(), true, () => new Promise((done) => (answer = done)));
  expect(form.busy).toBe(true);
  await form.submit(event(), true, never);
  answer();
  await first;
  expect([form.busy, form.failure]).toEqual([false, undefined]);
});

test('what failed is told until it is tried again', async () => {
  const form = new Submission();
  await form.run(() => Promise.reject(new TypeError('the network is gone')));
  expect(form.failure?.failure).toBe('unreachable');
  await form.run(async () => {});
  expect(form.failure).toBeUndefined();
});

test('a request whose answer was lost is sent again as the same one, one that was answered as another', async () => {
  const form = new Submission();
  const keys: string[] = [];
  const send = (failure?: Error) =>
    form.run(async () => {
      keys.push(form.once.header({ name: 'shop' })['Idempotency-Key']);
      if (failure) throw failure;
    });
  await send(new TypeError('the network is gone'));
  await send(new ApiError('problem', 409, '', 'there is one of this name'));
  await send();
  await send();
  expect(keys[0]).toBe(keys[1]);
  expect(new Set(keys).size).toBe(3);
});
