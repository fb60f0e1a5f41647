import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';
import type { Browser, Page } from 'playwright-core';
import { openPage } from '../../test/support/browser.ts';
import type { TcpProxy } from '../../test/support/tcp-proxy.ts';

const MAX_BYTES = 200_000;

/** What pictures are made of: a system that has been used. */
export interface Stage {
  readonly edge: { readonly url: string };
  /** Leads to the edge. */
  readonly wire: TcpProxy;
  readonly adminToken: string;
  /** A key, and the id of one with a budget. */
  readonly key: string;
  readonly keyId: string;
  /** Has so many texts generated at once. */
  askTogether(count: number): Promise<void>;
}

export interface Shot {
  /** Of its file, without the ending. */
  readonly name: string;
  readonly look: 'light' | 'dark';
  readonly width: number;
  readonly height: number;
  /** Brings the page to what is to be seen; what it returns comes after the picture. */
  readonly prepare: (page: Page, system: Stage) => Promise<(() => Promise<void> | void) | void>;
}

export const WIDE = { width: 1280, height: 820 } as const;
export const PHONE = { width: 390, height: 780 } as const;

/** Makes a picture; gives its path and size. A page that complains makes none. */
export async function takeShot(
  { name, look, width, height, prepare }: Shot,
  system: Stage,
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
