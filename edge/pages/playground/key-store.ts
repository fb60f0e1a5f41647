const NAME = 'tidar.key';

/** Empty where none was kept. A browser that stores nothing asks again. */
export function readKey(): string {
  try {
    return sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME) ?? '';
  } catch {
    return '';
  }
}

/** For this tab, or until it is forgotten. */
export function storeKey(key: string, isKept: boolean): void {
  forgetKey();
  try {
    (isKept ? localStorage : sessionStorage).setItem(NAME, key);
  } catch {
    // It holds for this visit.
  }
}

export function forgetKey(): void {
  try {
    sessionStorage.removeItem(NAME);
    localStorage.removeItem(NAME);
  } catch {
    // There is nothing to forget.
  }
}
