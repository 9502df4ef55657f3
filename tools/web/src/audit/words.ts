// SPDX-License-Identifier: Apache-2.0
import { t } from './messages';

// An act that this page does not know yet has the name that the API gives it.
export function actText(act: string): string {
  return act in t.en ? (t as unknown as (key: string) => string)(act) : act;
}
