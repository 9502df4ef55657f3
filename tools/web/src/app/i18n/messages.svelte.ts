// SPDX-License-Identifier: Apache-2.0
//
// Each area has a messages.ts of its own: `export const t = messages(english, chinese)`, which the compiler keeps
// complete in both, and a component calls `t('key', { place: value })`.
import { preferences } from '../preferences.svelte';
import { fill, type Values } from './format';

export type Catalogue<E extends Record<string, string>> = (<K extends keyof E & string>(
  key: K,
  ...values: Values<E[K]>
) => string) & { readonly en: E; readonly zh: Record<keyof E, string> };

export function messages<const E extends Record<string, string>>(
  en: E,
  zh: { readonly [K in keyof E]: string },
): Catalogue<E> {
  const translate = (key: string, values: Record<string, string | number> = {}): string => {
    const catalogue: Record<string, string> = preferences.language === 'zh' ? zh : en;
    return fill(catalogue[key] ?? key, values, preferences.locale);
  };
  return Object.assign(translate, { en, zh }) as Catalogue<E>;
}
