// SPDX-License-Identifier: Apache-2.0
export type Tone = 'ok' | 'info' | 'warning' | 'danger' | 'neutral';
