import { describe, expect, it } from 'vitest';
import { createApp } from '../app.ts';
import { openApiDocument, OPERATIONS } from './document.ts';

describe('the document', () => {
  it('has every route of the app and no other', () => {
    const registered = createApp()
      .routes.filter(({ method, path }) => method !== 'ALL' && path !== '/*')
      .map(({ method, path }) => `${method} ${path.replace(/:\w+(\{[^}]*\})?/, '{id}')}`);
    expect(OPERATIONS.map(({ route }) => route).sort()).toEqual(registered.sort());
    expect(new Set(OPERATIONS.map(({ id }) => id)).size).toBe(OPERATIONS.length);
    const paths = openApiDocument().paths as Record<string, object>;
    expect(Object.values(paths).flatMap((methods) => Object.keys(methods))).toHaveLength(OPERATIONS.length);
  });

  it('says of each path’s id and of each parameter of a query what it is', () => {
    const silent = OPERATIONS.flatMap(({ route, pathId, query }) => {
      const names = Object.keys((query?.schema as { shape?: object } | undefined)?.shape ?? {});
      const undescribed = names.filter((name) => query?.descriptions[name] === undefined);
      const isIdTold = route.includes('{id}') === (pathId !== undefined);
      return [...undescribed.map((name) => `${route} ${name}`), ...(isIdTold ? [] : [route])];
    });
    expect(silent).toEqual([]);
  });
});
