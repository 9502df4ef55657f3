// SPDX-License-Identifier: Apache-2.0
//
// Messages with places: "{name}" is replaced by its value, "{count:volume|volumes}" chosen by it: the first for 1.
type PlaceName<P extends string> = P extends `${infer Name}:${string}` ? Name : P;
export type Places<M extends string> = M extends `${string}{${infer P}}${infer Rest}`
  ? PlaceName<P> | Places<Rest>
  : never;
export type Values<M extends string> = [Places<M>] extends [never] ? [] : [Record<Places<M>, string | number>];

const kPlace = /\{(\w+)(?::([^{}|]*)\|([^{}|]*))?\}/g;

export function fill(message: string, values: Record<string, string | number>, locale: string): string {
  return message.replace(kPlace, (place, name: string, one?: string, many?: string) => {
    const value = values[name];
    if (value === undefined) return place;
    if (one !== undefined && many !== undefined) return value === 1 ? one : many;
    return typeof value === 'number' ? value.toLocaleString(locale) : value;
  });
}

export function placesOf(message: string): Set<string> {
  return new Set([...message.matchAll(kPlace)].map((match) => match[1] ?? ''));
}
