// SPDX-License-Identifier: Apache-2.0
//
// How long a test waits for what is to come, in milliseconds: no figure, as a machine that is busy is slow.
export const kPatience = 60_000;
