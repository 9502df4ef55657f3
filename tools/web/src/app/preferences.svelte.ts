// SPDX-License-Identifier: Apache-2.0
//
// What a browser remembers for the one who uses it: language, theme, and the zone of times.
export type Language = 'en' | 'zh';
export type Theme = 'light' | 'dark';
export type Zone = 'local' | 'utc';

const kStorageKey = 'hindsight.preferences';

function systemLanguage(): Language {
  if (typeof navigator === 'undefined') return 'en';
  const first = (navigator.languages ?? [navigator.language]).find((tag) => /^(en|zh)\b/i.test(tag));
  return first?.toLowerCase().startsWith('zh') ? 'zh' : 'en';
}

function systemTheme(): Theme {
  if (typeof matchMedia === 'undefined') return 'light';
  return matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
}

type Stored = { language?: Language; theme?: Theme; zone?: Zone };

function read(): Stored {
  try {
    return JSON.parse(localStorage.getItem(kStorageKey) ?? '{}') as Stored;
  } catch {
    return {};
  }
}

class Preferences {
  // Null: as the browser has it.
  #chosen = $state<Stored>(read());
  #systemTheme = $state<Theme>(systemTheme());

  constructor() {
    if (typeof matchMedia === 'undefined') return;
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      this.#systemTheme = systemTheme();
    });
  }

  get language(): Language {
    return this.#chosen.language === 'en' || this.#chosen.language === 'zh' ? this.#chosen.language : systemLanguage();
  }
  get locale(): string {
    return this.language === 'zh' ? 'zh-CN' : 'en-GB';
  }
  get theme(): Theme {
    return this.#chosen.theme === 'light' || this.#chosen.theme === 'dark' ? this.#chosen.theme : this.#systemTheme;
  }
  get zone(): Zone {
    return this.#chosen.zone === 'utc' ? 'utc' : 'local';
  }

  choose(change: Stored): void {
    this.#chosen = { ...this.#chosen, ...change };
    try {
      localStorage.setItem(kStorageKey, JSON.stringify(this.#chosen));
    } catch {
      // A browser that keeps nothing has it for this visit.
    }
  }
}

export const preferences = new Preferences();
