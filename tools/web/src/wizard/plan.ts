// SPDX-License-Identifier: Apache-2.0
//
// What a recovery is to do, before it is done.
import type { Query } from '../app/router.svelte';
import type { Right } from '../app/session/session.svelte';
import type { ChosenPoint } from '../timeline/point.svelte';

export const kWays = ['recover', 'view', 'clone', 'rollback', 'image'] as const;
export type Way = (typeof kWays)[number];

export function isWay(text: string | null): text is Way {
  return kWays.some((way) => way === text);
}

// For the wizard's address; `asked` is the point that it was opened with, until it is taken.
type Answers = { readonly point: Pick<ChosenPoint, 'lastingText' | 'volume'>; readonly way: Way; readonly volumes: readonly string[] };
export function answersOf({ point, way, volumes }: Answers, asked: string | null): Query {
  const at = point.lastingText ?? asked;
  const others = volumes.filter((name) => name !== point.volume);
  return { ...(at === null ? {} : { at }), how: way, ...(others.length === 0 ? {} : { with: others.join(',') }) };
}

// As the API asks of the operations that a way takes.
export const kRights: Record<Way, readonly Right[]> = {
  recover: ['operate', 'restore'],
  view: ['operate', 'seeData'],
  clone: ['operate', 'seeData'],
  rollback: ['restore'],
  image: ['restore', 'seeData'],
};

// Of the first ones that whoever asks may go; the first of all where he may none.
export function firstWay(may: (right: Right) => boolean): Way {
  return kWays.find((way) => kRights[way].every(may)) ?? 'recover';
}

export function needsName(way: Way): way is 'recover' | 'clone' {
  return way === 'recover' || way === 'clone';
}

const kNameLongest = 64;
const kName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export type NameProblem = 'empty' | 'wrong' | 'taken' | 'twice';

export function nameProblem(
  name: string,
  taken: ReadonlySet<string>,
  others: readonly string[],
): NameProblem | undefined {
  if (name === '') return 'empty';
  if (!kName.test(name)) return 'wrong';
  if (taken.has(name)) return 'taken';
  return others.filter((other) => other === name).length > 1 ? 'twice' : undefined;
}

// "shop-recovered", or with a number behind it where that is taken.
export function freeName(volume: string, way: 'recover' | 'clone', taken: ReadonlySet<string>): string {
  const word = way === 'recover' ? 'recovered' : 'clone';
  for (let number = 1; ; number++) {
    const end = number === 1 ? `-${word}` : `-${word}-${number}`;
    const name = volume.slice(0, kNameLongest - end.length) + end;
    if (!taken.has(name)) return name;
  }
}
