import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';
import type { Browser, Page } from 'playwright-core';
import { openPage } from '../../test/support/browser.ts';
import type { System } from './system.ts';

const MAX_BYTES = 200_000;

export interface Shot {
  /** Of its file, without the ending. */
  readonly name: string;
  readonly look: 'light' | 'dark';
  readonly width: number;
  readonly height: number;
  /** Brings the page to what is to be seen; what it returns comes after the picture. */
  readonly prepare: (page: Page, system: System) => Promise<(() => Promise<void> | void) | void>;
}

export const WIDE = { width: 1280, height: 820 } as const;
export const PHONE = { width: 390, height: 780 } as const;

/** Makes a picture; gives its path and size. A page that complains makes none. */
export async function takeShot(
  { name, look, width, height, prepare }: Shot,
  system: System,
  browser: Browser,
  out: string,
): Promise<string> {
  const watched = await openPage(browser, {
    colorScheme: look,
    viewport: { width, height },
    deviceScaleFactor: width < 600 ? 2 : 1,
    reducedMotion: 'reduce',
  });
  try {
    const after = await prepare(watched.page, system);
    const picture = await watched.page.screenshot({ type: 'png' });
    await after?.();
    if (watched.problems.length > 0)
      throw new TidarError('internal', `${name}: ${watched.problems.join('; ')}`);
    if (picture.byteLength > MAX_BYTES) {
      throw new TidarError('internal', `${name} has ${picture.byteLength} bytes, more than ${MAX_BYTES}.`);
    }
    const path = join(out, `${name}.png`);
    writeFileSync(path, picture);
    return `${path}  ${Math.round(picture.byteLength / 1000)} kB`;
  } finally {
    await watched.close();
  }
}
