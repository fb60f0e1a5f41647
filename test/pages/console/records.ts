import { describe, expect, it } from 'vitest';
import type { ConsoleDesk, List, UsageRow } from '../../support/console.ts';
import { readChunks } from '../../support/openai-http.ts';

/** Of some forty tokens. */
const LONG = {
  messages: [
    {
      role: 'user',
      content: 'Ana has 7 bags of 6 apples and 5 loose apples. How many apples does Ana have?',
    },
  ],
};

/** What was used, what runs, who serves, what was changed, what was billed. */
export function testRecords(desk: ConsoleDesk): void {
  describe('usage', () => {
    it('shows the numbers of the API, by day, key and model', async () => {
      const { id, key } = await desk.newKey({ name: 'user of much' });
      for (const maxTokens of [3, 5])
        expect((await desk.answerTo(key, { max_tokens: maxTokens })).status).toBe(200);
      await desk.billed(id);
      const rows = async (query: string): Promise<UsageRow[]> =>
        (await desk.admin.get<List<UsageRow>>(`/usage?${query}`)).body.data;
      await desk.open('#/usage');
      await desk.page.getByLabel('Apart by').selectOption('model');
      await desk.page.getByText('The same as a table').click();
      await desk.table('Usage by day').getByRole('columnheader', { name: 'demo' }).waitFor();
      for (const [label, measure] of [
        ['Completion tokens', 'completion_tokens'],
        ['Prompt tokens', 'prompt_tokens'],
        ['Requests', 'num_requests'],
      ] as const) {
        await desk.page.getByLabel('Measure').selectOption({ label });
        const shown = (value: number): string => value.toLocaleString('en');
        for (const row of await rows('group=day,model')) {
          const cells = await desk
            .table('Usage by day')
            .getByRole('row', { name: row.day ?? '' })
            .allInnerTexts();
          expect(cells[0]?.split(/\s+/).slice(1)).toEqual([shown(row[measure]), shown(row[measure])]);
        }
        const [own] = await rows(`group=key&key=${id}`);
        const ofKey = await desk.table('Usage by key').getByRole('row', { name: 'user of much' }).innerText();
        expect(ofKey.split(/\s+/)).toContain(shown(own?.[measure] ?? NaN));
        const [ofModel] = await rows('group=model');
        expect(await desk.table('Usage by model').getByRole('row', { name: 'demo' }).innerText()).toContain(
          shown(ofModel?.[measure] ?? NaN),
        );
      }
      await desk.page.getByLabel('Apart by').selectOption('key');
      await desk.table('Usage by day').getByRole('columnheader', { name: 'user of much' }).waitFor();
      await desk.page.getByLabel('Key', { exact: true }).selectOption({ label: 'user of much' });
      await desk.page.getByLabel('Measure').selectOption({ label: 'Completion tokens' });
      await expect.poll(() => desk.page.locator('.figure').textContent()).toBe('8');
      // The chart is drawn of the same rows, on a canvas.
      expect(await desk.page.locator('.days canvas').count()).toBe(1);
      expect(desk.problems).toEqual([]);
    });
  });

  describe('what runs', () => {
    it('is shown with its key and the tokens that its client has, and goes when it ends', async () => {
      const { key } = await desk.newKey({ name: 'runner' });
      await desk.open('#/requests');
      await desk.page.getByText('Nothing runs now.').waitFor();
      const held = desk.site.proxy.holdAfter(2_500);
      const answer = desk.answerTo(key, { ...LONG, stream: true, tidar: { decoder: 'ar' } }).then(readChunks);
      await held;
      const row = desk.table('Running requests').getByRole('row', { name: 'runner' });
      await row.waitFor();
      const tokens = async (): Promise<number> =>
        Number(/(\d+) of/.exec((await row.innerText()).replaceAll('\n', ' '))?.[1]);
      await expect.poll(tokens, { timeout: 10_000 }).toBeGreaterThan(0);
      expect(await row.innerText()).toContain(desk.site.proxy.url);
      desk.site.proxy.release();
      expect((await answer).isDone).toBe(true);
      await desk.page.getByText('Nothing runs now.').waitFor();
      expect(desk.problems).toEqual([]);
    });
  });

  describe('a backend', () => {
    it('is shown with its health, its model and its slot curve', async () => {
      interface Told {
        load: { max_concurrent: number };
        slot_curve: [number, number][] | null;
        models: { fingerprint: string }[];
      }
      const told = async (): Promise<Told | undefined> =>
        (await desk.admin.get<List<Told>>('/backends')).body.data[0];
      await expect
        .poll(async () => (await told())?.slot_curve?.length ?? 0, { timeout: 15_000 })
        .toBeGreaterThan(0);
      await desk.open('#/backends');
      const card = desk.page.getByRole('region', { name: desk.site.proxy.url });
      await card.getByText('serves').waitFor();
      const backend = await told();
      expect(await card.innerText()).toContain(`of ${backend?.load.max_concurrent} run`);
      expect(await card.innerText()).toContain(backend?.models[0]?.fingerprint);
      await card.getByText('The same as a table').click();
      const shown = await card.getByRole('table', { name: 'Slot curve' }).locator('tbody tr').allInnerTexts();
      const curve = (await told())?.slot_curve?.map(([texts]) => texts);
      expect(shown.map((row) => Number(row.split(/\s+/)[0]))).toEqual(curve);
      expect(desk.problems).toEqual([]);
    });
  });

  describe('the audit log', () => {
    it('is paged through, every change on one page, and back', async () => {
      const { id } = await desk.newKey({ name: 'busy' });
      for (let turn = 0; turn < 60; turn += 1)
        await desk.admin.ask('PATCH', `/keys/${id}`, { requests_per_minute: turn + 1 });
      await desk.open('#/audit');
      const rows = desk.table('Changes').locator('tbody tr');
      await expect.poll(() => rows.count()).toBe(50);
      const first = await rows.allInnerTexts();
      await desk.button('Older').click();
      await desk.page.getByText('Page 2').waitFor();
      await expect.poll(async () => (await rows.allInnerTexts())[0]).not.toBe(first[0]);
      const second = await rows.allInnerTexts();
      const seen = [...first, ...second].flatMap(
        (text) => /requests_per_minute: (\d+)$/.exec(text.trim())?.[1] ?? [],
      );
      expect(seen.slice(0, 60).map(Number)).toEqual(Array.from({ length: 60 }, (_, turn) => 60 - turn));
      await desk.button('Newer').click();
      await expect.poll(() => rows.allInnerTexts()).toEqual(first);
    });
  });

  describe('a receipt', () => {
    const lookUp = async (requestId: string): Promise<void> => {
      await desk.page.getByLabel('Request id').fill(requestId);
      await desk.button('Look up').click();
    };
    const requestOf = async (): Promise<string> => {
      const { key } = await desk.newKey({ name: 'billed' });
      return (await desk.answerTo(key)).headers.get('x-request-id') ?? '';
    };

    it('is found by its request, and its signature is checked by the browser', async () => {
      const requestId = await requestOf();
      await desk.open('#/receipts');
      await lookUp(requestId);
      await desk.page.getByText('signature valid').waitFor();
      expect(await desk.page.locator('main').innerText()).toContain('billed');
      expect(desk.problems).toEqual([]);
    });

    it('that says anything else than what was signed is shown as such', async () => {
      const requestId = await requestOf();
      await desk.open('#/receipts');
      await desk.page.route('**/admin/requests/*', async (route) => {
        const response = await route.fetch();
        const found = (await response.json()) as { receipt: { receipt: { cost_nanos: number } } };
        found.receipt.receipt.cost_nanos += 1;
        await route.fulfill({ response, json: found });
      });
      await lookUp(requestId);
      await desk.page.getByText('signature NOT valid').waitFor();
      expect(await desk.page.getByText('signature valid').count()).toBe(0);
    });

    it('is not called valid where the browser cannot check it', async () => {
      const requestId = await requestOf();
      await desk.open('#/receipts');
      await desk.page.evaluate(
        "crypto.subtle.generateKey = () => Promise.reject(new DOMException('', 'NotSupportedError'))",
      );
      await lookUp(requestId);
      await desk.page.getByText('not checked').waitFor();
      expect(await desk.page.locator('main').innerText()).toContain('npm run verify-receipt');
      await lookUp('req_unknown');
      await expect.poll(() => desk.page.getByRole('alert').textContent()).toContain('name its key');
    });
  });
}
