// SPDX-License-Identifier: Apache-2.0
import axe, { type AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';

const kTags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

// What axe finds wrong with the page as it is, a line each.
export async function violations(page: Page): Promise<string[]> {
  // By the debugger, to which the page's policy does not apply.
  await page.evaluate(axe.source);
  const results = (await page.evaluate(
    (tags) => (globalThis as unknown as { axe: typeof axe }).axe.run(document, { runOnly: tags }),
    kTags,
  )) as AxeResults;
  return results.violations.flatMap(({ id, help, nodes }) =>
    nodes.map((node) => `${id}: ${help}: ${node.html.slice(0, 160)} ${node.failureSummary?.split('\n').slice(1, 3).join(' ').trim() ?? ''}`),
  );
}
