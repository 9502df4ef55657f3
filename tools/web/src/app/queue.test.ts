// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { Queue } from './queue';

test('so many are under way at once and all are done, in order, whatever fails', async () => {
  const queue = new Queue(3);
  let underWay = 0;
  let most = 0;
  const begun: number[] = [];
  const work = (n: number) =>
    queue.run(async () => {
      begun.push(n);
      most = Math.max(most, (underWay += 1));
      await new Promise((resolve) => setTimeout(resolve, n % 4));
      underWay -= 1;
      if (n % 5 === 0) throw new Error(`${n}`);
      return n;
    });
  const results = await Promise.allSettled(Array.from({ length: 40 }, (_, n) => work(n)));
  expect(most).toBe(3);
  expect(begun).toEqual(Array.from({ length: 40 }, (_, n) => n));
  expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(8);
});
