import { describe, expect, it } from 'vitest';
import type { KeyView } from '../../../edge/src/ledger/types.ts';
import type { ConsoleDesk, List } from '../../support/console.ts';
import { ADMIN_TOKEN } from '../../support/edge-harness.ts';

/** Signing in, what keys may do, and what tokens may. */
export function testKeys(desk: ConsoleDesk): void {
  describe('signing in', () => {
    it('says what is wrong with a token, keeps a right one for the tab alone, and forgets it on request', async () => {
      await desk.open('', 'not-an-admin-token');
      await expect.poll(() => desk.page.getByRole('alert').textContent()).toContain('not valid');
      await desk.page.getByLabel('Admin token').fill(ADMIN_TOKEN);
      await desk.button('Sign in').click();
      await desk.heading('Keys').waitFor();
      await desk.page.reload();
      await desk.heading('Keys').waitFor();
      const other = await desk.page.context().newPage();
      await other.goto(`${desk.edge.url}/console`);
      await other.getByLabel('Admin token').waitFor();
      expect(await other.evaluate('JSON.stringify(localStorage)')).not.toContain(ADMIN_TOKEN);
      await desk.button('Sign out').click();
      await desk.page.getByLabel('Admin token').waitFor();
      expect(await desk.page.evaluate('JSON.stringify(sessionStorage)')).not.toContain(ADMIN_TOKEN);
    });

    it('ends when the token is revoked, in words', async () => {
      const asked = { name: 'short', scopes: ['keys:read'] };
      const { id, token } = (await desk.admin.post<{ id: string; token: string }>('/tokens', asked)).body;
      await desk.open('', token);
      const link = desk.page.getByRole('link', { name: 'first' });
      await link.waitFor();
      await desk.admin.post(`/tokens/${id}/revoke`);
      await link.click();
      await expect.poll(() => desk.page.getByRole('alert').textContent()).toContain('revoked or has expired');
    });
  });

  describe('a key', () => {
    it('that is made here works at once, is shown once, and is refused at once when it is revoked here', async () => {
      await desk.open('', ADMIN_TOKEN, { permissions: ['clipboard-read', 'clipboard-write'] });
      await desk.button('Make a key').click();
      await desk.page.getByLabel('Name', { exact: true }).fill('made here');
      await desk.page.getByLabel('Budget in tokens').fill('100000');
      await desk.button('Make the key').click();
      const secret = (await desk.page.locator('.secret').textContent()) ?? '';
      expect((await desk.answerTo(secret)).status).toBe(200);
      await desk.button('Copy').click();
      await desk.page.getByText('Copied.').waitFor();
      expect(await desk.page.evaluate('navigator.clipboard.readText()')).toBe(secret);
      await desk.page.keyboard.press('Escape');
      expect(await desk.page.locator('.secret').isVisible()).toBe(true);
      await desk.button('I have it').click();
      await desk.page.getByRole('link', { name: 'made here' }).click();
      await desk.heading('made here').waitFor();
      expect(await desk.page.content()).not.toContain(secret.split('_')[2]);
      await desk.button('Revoke').click();
      await desk.page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
      await desk.page.getByText(/^revoked /).waitFor();
      expect(await desk.codeOf(secret)).toBe('key_revoked');
      expect(await desk.button('Revoke').isDisabled()).toBe(true);
      expect(desk.problems).toEqual([]);
    });

    it('that is rotated here has another secret, and the old one ends when that was said', async () => {
      const { id, key } = await desk.newKey({ name: 'to rotate' });
      await desk.open(`#/keys/${id}`);
      await desk.button('Rotate the secret').click();
      await desk.page.getByLabel('The old secret ends').selectOption('now');
      await desk.button('Rotate').click();
      const secret = (await desk.page.locator('.secret').textContent()) ?? '';
      expect(secret.split('_')[1]).toBe(id);
      expect(await desk.codeOf(key)).toBe('invalid_api_key');
      expect((await desk.answerTo(secret)).status).toBe(200);
    });

    it('shows its limits, and changes those that are changed here and no others', async () => {
      const { id } = await desk.newKey({
        name: 'limited',
        tokens_per_minute: 5000,
        budget_nanos: 2_500_000_000,
      });
      await desk.open(`#/keys/${id}`);
      const field = (label: string) => desk.page.getByLabel(label, { exact: true });
      await expect.poll(() => field('Tokens per minute').inputValue()).toBe('5000');
      expect(await field('Budget in money').inputValue()).toBe('2.5');
      expect(await field('Requests at once').inputValue()).toBe('');
      await field('Requests at once').fill('0.5');
      await desk.button('Save').click();
      await desk.page.getByText('expected a whole number').waitFor();
      await field('Requests at once').fill('3');
      await field('Tokens per minute').fill('');
      await desk.button('Save').click();
      await expect
        .poll(async () => (await desk.admin.get<KeyView>(`/keys/${id}`)).body)
        .toMatchObject({ concurrent_streams: 3, tokens_per_minute: null, budget_nanos: 2_500_000_000 });
      const { data } = (await desk.admin.get<List<{ action: string; detail: object }>>('/audit?limit=1'))
        .body;
      expect(data).toMatchObject([
        { action: 'key.update', detail: { concurrent_streams: 3, tokens_per_minute: null } },
      ]);
      expect(Object.keys(data[0]?.detail ?? {})).toHaveLength(2);
      await expect.poll(() => desk.button('Save').isDisabled()).toBe(true);
      expect(desk.problems).toEqual([]);
    });

    it('is found by name or id, and is hidden once it has ended until that is asked for', async () => {
      const { id } = await desk.newKey({ name: 'needle' });
      await desk.admin.post(`/keys/${id}/revoke`);
      await desk.open();
      await desk.table('Keys').waitFor();
      const link = desk.page.getByRole('link', { name: 'needle' });
      expect(await link.count()).toBe(0);
      await desk.page.getByLabel(/^Revoked and expired too/).check();
      await link.waitFor();
      await desk.page.getByLabel('Find').fill(id.slice(0, 8));
      expect(await desk.table('Keys').locator('tbody tr').count()).toBe(1);
      await desk.page.getByLabel('Find').fill('no such key');
      await desk.page.getByText('No key is like that.').waitFor();
    });
  });

  describe('a token with few scopes', () => {
    const tokenFor = async (scope: string): Promise<string> =>
      (await desk.admin.post<{ token: string }>('/tokens', { name: scope, scopes: [scope] })).body.token;

    it('sees what it may and is told what it lacks, and the server is not asked for that', async () => {
      const refused: string[] = [];
      await desk.open('#/usage', await tokenFor('usage:read'));
      desk.page.on(
        'response',
        (response) => void (response.status() === 403 && refused.push(response.url())),
      );
      await desk.page.locator('.figure').waitFor();
      for (const [tab, scope] of [
        ['Keys', 'keys:read'],
        ['Backends', 'fleet:read'],
        ['Audit log', 'audit:read'],
      ] as const) {
        await desk.page
          .getByRole('link', { name: new RegExp(`^${tab} \\(this token may not see it\\)$`) })
          .click();
        await desk.page.getByText(`it lacks the scope ${scope}`).waitFor();
        expect(await desk.page.getByRole('table').count()).toBe(0);
      }
      expect(await desk.button('Make a key').count()).toBe(0);
      expect(refused).toEqual([]);
      expect(desk.problems).toEqual([]);
    });

    it('may read keys and not change them', async () => {
      await desk.open('', await tokenFor('keys:read'));
      await desk.page.getByRole('link', { name: 'first' }).click();
      await desk.page.getByText('lacks the scope keys:write').waitFor();
      for (const name of ['Rotate the secret', 'Revoke'])
        expect(await desk.button(name).isDisabled()).toBe(true);
      expect(await desk.page.getByLabel('Tokens per minute').isDisabled()).toBe(true);
    });
  });
}
