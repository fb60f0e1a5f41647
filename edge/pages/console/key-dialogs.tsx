import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { KeyFields } from './key-fields.tsx';
import { type KeyForm, NEW_KEY, readForm } from './key-form.ts';
import { Dialog, Problem } from './parts.tsx';
import { type Key, keySchema, newKeySchema } from './schemas.ts';
import { admin, wordsOf } from './session.ts';

interface DialogProps {
  readonly onClose: () => void;
}

/** Asks for a new key's settings, then shows it this once. */
export function NewKeyDialog({ onClose }: DialogProps): JSX.Element {
  const form = useSignal<KeyForm>(NEW_KEY);
  const problems = useSignal<Partial<Record<keyof KeyForm, string>>>({});
  const work = useWork();
  const made = useSignal<string | undefined>(undefined);
  if (made.value !== undefined)
    return <SecretDialog title="The new key" secret={made.value} onClose={onClose} />;
  const make = (): void => {
    const read = readForm(form.value);
    problems.value = 'problems' in read ? read.problems : {};
    if ('problems' in read) return;
    void work.run(async () => {
      made.value = (await admin(newKeySchema, '/keys', { method: 'POST', body: read.settings })).key;
    });
  };
  return (
    <Dialog key="ask" title="Make a key" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          make();
        }}
      >
        <KeyFields form={form.value} problems={problems.value} onChange={(next) => (form.value = next)} />
        {work.problem !== undefined && <Problem>{work.problem}</Problem>}
        <Choices isWorking={work.isWorking} label="Make the key" onClose={onClose} />
      </form>
    </Dialog>
  );
}

const GRACES = [
  { seconds: 0, name: 'now' },
  { seconds: 3600, name: 'in an hour' },
  { seconds: 86_400, name: 'in a day' },
  { seconds: 604_800, name: 'in a week' },
] as const;

/** Gives a key another secret. */
export function RotateDialog({ id, onClose }: DialogProps & { readonly id: string }): JSX.Element {
  const grace = useSignal('86400');
  const work = useWork();
  const made = useSignal<string | undefined>(undefined);
  if (made.value !== undefined)
    return <SecretDialog title="The new secret" secret={made.value} onClose={onClose} />;
  const rotate = (): void =>
    void work.run(async () => {
      const body = { grace_seconds: Number(grace.value) };
      made.value = (await admin(newKeySchema, `/keys/${id}/rotate`, { method: 'POST', body })).key;
    });
  return (
    <Dialog key="ask" title="Another secret" onClose={onClose}>
      <p>
        The key keeps its id, limits and bills. Its old secret still works for a while, so that clients can
        change.
      </p>
      <div class="field">
        <label for="grace">The old secret ends</label>
        <select
          class="input"
          id="grace"
          value={grace.value}
          onChange={(event) => (grace.value = event.currentTarget.value)}
        >
          {GRACES.map(({ seconds, name }) => (
            <option key={seconds} value={String(seconds)}>
              {name}
            </option>
          ))}
        </select>
      </div>
      {work.problem !== undefined && <Problem>{work.problem}</Problem>}
      <Choices isWorking={work.isWorking} label="Rotate" onClose={onClose} onGo={rotate} />
    </Dialog>
  );
}

/** Ends a key, once that is sure. */
export function RevokeDialog({ shown, onClose }: DialogProps & { readonly shown: Key }): JSX.Element {
  const work = useWork();
  const revoke = (): void =>
    void work.run(async () => {
      await admin(keySchema, `/keys/${shown.id}/revoke`, { method: 'POST', body: {} });
      onClose();
    });
  return (
    <Dialog title={`Revoke ${shown.name ?? shown.id}?`} onClose={onClose}>
      <p>It ends now, and its running streams with it. It cannot come back.</p>
      {work.problem !== undefined && <Problem>{work.problem}</Problem>}
      <Choices isWorking={work.isWorking} label="Revoke" isDanger onClose={onClose} onGo={revoke} />
    </Dialog>
  );
}

/** A secret, this once. */
function SecretDialog({
  title,
  secret,
  onClose,
}: DialogProps & { readonly title: string; readonly secret: string }): JSX.Element {
  const copied = useSignal('');
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(secret);
      copied.value = 'Copied.';
    } catch {
      copied.value = 'This browser did not let it be copied: select it and copy it by hand.';
    }
  };
  return (
    <Dialog key="secret" title={title} isHeld onClose={onClose}>
      <p>It is shown this once: the server keeps only a hash of it.</p>
      <output class="secret mono">{secret}</output>
      <p class="soft" role="status">
        {copied.value}
      </p>
      <div class="row end">
        <button type="button" class="button" onClick={() => void copy()}>
          Copy
        </button>
        <button type="button" class="button primary" onClick={onClose}>
          I have it
        </button>
      </div>
    </Dialog>
  );
}

interface ChoicesProps extends DialogProps {
  readonly isWorking: boolean;
  readonly label: string;
  readonly isDanger?: boolean;
  /** Absent: the form's own submit. */
  readonly onGo?: () => void;
}

function Choices({ isWorking, label, isDanger = false, onClose, onGo }: ChoicesProps): JSX.Element {
  return (
    <div class="row end">
      <button type="button" class="button" onClick={onClose}>
        Cancel
      </button>
      <button
        type={onGo === undefined ? 'submit' : 'button'}
        class={isDanger ? 'button danger' : 'button primary'}
        disabled={isWorking}
        {...(onGo === undefined ? {} : { onClick: onGo })}
      >
        {isWorking ? 'Working …' : label}
      </button>
    </div>
  );
}

interface Work {
  readonly isWorking: boolean;
  readonly problem: string | undefined;
  run(work: () => Promise<void>): Promise<void>;
}

/** One thing that is asked of the server at a time, and why it failed. */
export function useWork(): Work {
  const isWorking = useSignal(false);
  const problem = useSignal<string | undefined>(undefined);
  return {
    isWorking: isWorking.value,
    problem: problem.value,
    async run(work) {
      isWorking.value = true;
      problem.value = undefined;
      try {
        await work();
      } catch (error) {
        problem.value = wordsOf(error);
      } finally {
        isWorking.value = false;
      }
    },
  };
}
