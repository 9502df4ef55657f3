// SPDX-License-Identifier: Apache-2.0
const kPasswordBytesMin = 12;

// As the daemon will have it, so that one is told before.
export function passwordProblem(password: string, again: string): 'short' | 'differ' | undefined {
  if (new TextEncoder().encode(password).length < kPasswordBytesMin) return 'short';
  return password === again ? undefined : 'differ';
}
