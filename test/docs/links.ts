import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/** As GitHub makes them of headings; the same heading again has a number. */
export function anchorsOf(document: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ''] of withoutBlocks(document).matchAll(/^#{1,6} +(.+?) *#*$/gm)) {
    const base = heading
      .toLowerCase()
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replaceAll(/[^\p{L}\p{N}\p{M} _-]/gu, '')
      .replaceAll(' ', '-');
    let anchor = base;
    for (let again = 1; anchors.has(anchor); again += 1) anchor = `${base}-${again}`;
    anchors.add(anchor);
  }
  for (const [, name = ''] of document.matchAll(/<a (?:id|name)="([^"]+)"/g)) anchors.add(name);
  return anchors;
}

const withoutBlocks = (document: string): string => document.replaceAll(/^ *```[\s\S]*?^ *```$/gm, '');

/** Relative links that lead nowhere, or to a section that is not there. */
export function brokenLinks(root: string, path: string, read: (path: string) => string): string[] {
  const text = withoutBlocks(read(path)).replaceAll(/`[^`\n]*`/g, '');
  const targets = [...text.matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g)].map(([, target = '']) => target);
  return targets
    .filter((target) => !/^[a-z][a-z+.-]*:/i.test(target))
    .filter((target) => isBroken(root, path, target, read))
    .map((target) => `${path}: ${target}`);
}

function isBroken(root: string, path: string, target: string, read: (path: string) => string): boolean {
  const [file = '', anchor] = target.split('#');
  const to = file === '' ? path : normalize(join(dirname(path), decodeURIComponent(file)));
  if (file !== '' && (to.startsWith('..') || !existsSync(join(root, to)))) return true;
  return anchor !== undefined && to.endsWith('.md') && !anchorsOf(read(to)).has(anchor);
}
