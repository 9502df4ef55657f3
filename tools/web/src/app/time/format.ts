// SPDX-License-Identifier: Apache-2.0
//
// Moments, spans and sizes in words. A moment is milliseconds since 1970, always shown with its zone, so that the two
// halves of an hour that a clock passes twice can be told apart.
import type { Language, Zone } from '../preferences.svelte';

export type TimeStyle = {
  zone: Zone;
  language: Language;
  // Years are shown where they are not this one's.
  now: number;
  seconds?: boolean;
  milliseconds?: boolean;
  // Whether the offset is left out, where it stands beside.
  bare?: boolean;
};

const kMonths = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

export function millisOf(time: string | number | Date): number {
  return typeof time === 'number' ? time : new Date(time).getTime();
}

const two = (value: number): string => String(value).padStart(2, '0');

export function offsetText(millis: number, zone: Zone): string {
  if (zone === 'utc') return 'UTC';
  const minutes = -new Date(millis).getTimezoneOffset();
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(Math.trunc(size / 60))}:${two(size % 60)}`;
}

// A Date whose getUTC... are the clock on the wall of the zone.
function wall(millis: number, zone: Zone): Date {
  return new Date(zone === 'utc' ? millis : millis - new Date(millis).getTimezoneOffset() * 60_000);
}

export function formatDate(time: string | number | Date, style: TimeStyle): string {
  const at = wall(millisOf(time), style.zone);
  if (Number.isNaN(at.getTime())) return '–';
  const year = at.getUTCFullYear();
  const isThisYear = year === wall(style.now, style.zone).getUTCFullYear();
  if (style.language === 'zh') {
    return `${isThisYear ? '' : `${year}年`}${at.getUTCMonth() + 1}月${at.getUTCDate()}日`;
  }
  return `${at.getUTCDate()} ${kMonths[at.getUTCMonth()]}${isThisYear ? '' : ` ${year}`}`;
}

export function formatClock(time: string | number | Date, style: TimeStyle): string {
  const at = wall(millisOf(time), style.zone);
  if (Number.isNaN(at.getTime())) return '–';
  let text = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
  if (style.seconds !== false) text += `:${two(at.getUTCSeconds())}`;
  if (style.milliseconds === true) text += `.${String(at.getUTCMilliseconds()).padStart(3, '0')}`;
  return text;
}

export function formatTime(time: string | number | Date, style: TimeStyle): string {
  const millis = millisOf(time);
  if (Number.isNaN(millis)) return '–';
  const zone = style.bare === true ? '' : ` ${offsetText(millis, style.zone)}`;
  return `${formatDate(millis, style)} ${formatClock(millis, style)}${zone}`;
}

const kUnits = {
  en: { d: ' d', h: ' h', m: ' min', s: ' s', ms: ' ms', us: ' µs' },
  zh: { d: ' 天', h: ' 小时', m: ' 分钟', s: ' 秒', ms: ' 毫秒', us: ' 微秒' },
} as const;

// The two largest units that matter: "13 d 4 h", "41 s", "0.3 s".
export function formatDuration(millis: number, language: Language): string {
  const unit = kUnits[language];
  const size = Math.max(0, Math.abs(millis));
  if (size === 0) return `0${unit.s}`;
  if (size < 1) return `${Math.max(1, Math.round(size * 1000))}${unit.us}`;
  if (size < 1000) return `${Math.round(size)}${unit.ms}`;
  const seconds = Math.floor(size / 1000);
  if (seconds < 10) return `${(Math.floor(size / 100) / 10).toFixed(1).replace(/\.0$/, '')}${unit.s}`;
  if (seconds < 60) return `${seconds}${unit.s}`;
  const parts = (large: number, one: string, small: number, other: string) =>
    small === 0 ? `${large}${one}` : `${large}${one} ${small}${other}`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return parts(minutes, unit.m, seconds % 60, unit.s);
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return parts(hours, unit.h, minutes % 60, unit.m);
  return parts(Math.floor(hours / 24), unit.d, hours % 24, unit.h);
}

const kSizes = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

export function formatBytes(bytes: number): string {
  let value = bytes;
  let at = 0;
  while (Math.abs(value) >= 1024 && at < kSizes.length - 1) {
    value /= 1024;
    at += 1;
  }
  const text = at === 0 || value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1);
  return `${text.replace(/\.0$/, '')} ${kSizes[at]}`;
}
