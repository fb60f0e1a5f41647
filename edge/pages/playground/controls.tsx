import { planSchema } from '@tidar/shared/decoder.ts';
import type { ComponentChildren, JSX } from 'preact';
import { useId } from 'preact/hooks';
import type { DecoderName, Model } from './api.ts';
import { change, model, models, possible, settings } from './state.ts';

const DECODER_NAMES: Readonly<Record<DecoderName, string>> = {
  tidar: 'TiDAR',
  ar: 'Autoregressive, one token a pass',
  speculative: 'Speculative, by a draft model',
  diffusion: 'Block diffusion (a text of its own)',
};

/** How the next question is asked. */
export function Controls(): JSX.Element {
  const served = model.value;
  const { decoder, plan, draftLength, beta, temperature, seed, maxTokens, schema, form } = possible(
    settings.value,
    served,
  );
  const decoders = served?.decoders ?? (['tidar', 'ar'] as const);
  const drafts = decoder === 'tidar' || decoder === 'speculative';
  return (
    <form class="controls" onSubmit={(event) => event.preventDefault()}>
      {models.value.length > 1 && (
        <Choice
          label="Model"
          value={served?.id ?? ''}
          options={models.value.map(({ id }) => [id, id])}
          onChange={(value) => change({ model: value })}
        />
      )}
      <Choice
        label="Decoder"
        value={decoder}
        options={decoders.map((name) => [name, DECODER_NAMES[name]])}
        onChange={(value) => change({ decoder: decoders.find((name) => name === value) ?? 'tidar' })}
      />
      {decoder === 'tidar' && (
        <Choice
          label="Plan"
          value={beta < 1 ? 'dense' : plan}
          isDisabled={beta < 1}
          options={planSchema.options.map((name) => [name, name])}
          hint={
            beta < 1
              ? 'Below full trust only the dense plan has a text of its own.'
              : 'How rows are laid out: it changes how fast, never which text.'
          }
          onChange={(value) => change({ plan: planSchema.parse(value) })}
        />
      )}
      {drafts && (
        <NumberField
          label="Draft length"
          value={draftLength}
          min={1}
          max={64}
          placeholder="auto"
          hint={draftHint(served)}
          onChange={(value) => change({ draftLength: value })}
        />
      )}
      {decoder === 'tidar' && (
        <Slider
          label="Trust in the model (β)"
          value={beta}
          max={1}
          step={0.05}
          hint={betaHint(beta)}
          onChange={(value) => change({ beta: value })}
        />
      )}
      <Slider
        label="Temperature"
        value={temperature}
        max={2}
        step={0.1}
        hint={temperature === 0 ? 'Always the likeliest token.' : 'Higher is more varied.'}
        onChange={(value) => change({ temperature: value })}
      />
      <SeedField value={seed} />
      <NumberField
        label="Tokens at most"
        value={maxTokens}
        min={1}
        max={served?.contextLength ?? 1_000_000}
        onChange={(value) => change({ maxTokens: value ?? 256 })}
      />
      <Choice
        label="Form"
        value={form}
        options={[
          ['chat', 'Chat: questions and answers'],
          ['text', 'Text: the model goes on with it'],
        ]}
        onChange={(value) => change({ form: value === 'text' ? 'text' : 'chat' })}
      />
      <SchemaField value={schema} />
    </form>
  );
}

function draftHint(served: Model | undefined): string {
  if (served === undefined) return 'Drafts of a pass.';
  return `Drafts of a pass; the server takes ${served.draftLength}, the model was trained with up to ${served.blockSize}.`;
}

const betaHint = (beta: number): string =>
  beta === 1
    ? 'The text is that of plain decoding.'
    : `The text is of both: ${Math.round(beta * 100)} % model, the rest drafts.`;

interface FieldProps {
  readonly label: string;
  readonly hint?: string;
  readonly problem?: string | undefined;
  readonly children: (ids: { id: string; describedBy: string }) => ComponentChildren;
}

function Field({ label, hint, problem, children }: FieldProps): JSX.Element {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, describedBy: `${id}-hint` })}
      <span class={problem === undefined ? 'hint' : 'problem'} id={`${id}-hint`}>
        {problem ?? hint}
      </span>
    </div>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly value: string;
  readonly options: readonly (readonly [value: string, name: string])[];
  readonly hint?: string;
  readonly isDisabled?: boolean;
  readonly onChange: (value: string) => void;
}

function Choice({
  label,
  value,
  options,
  hint = '',
  isDisabled = false,
  onChange,
}: ChoiceProps): JSX.Element {
  return (
    <Field label={label} hint={hint}>
      {({ id, describedBy }) => (
        <select
          class="input"
          id={id}
          aria-describedby={describedBy}
          disabled={isDisabled}
          value={value}
          onChange={(event) => onChange(event.currentTarget.value)}
        >
          {options.map(([option, name]) => (
            <option key={option} value={option}>
              {name}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

interface SliderProps {
  readonly label: string;
  readonly value: number;
  readonly max: number;
  readonly step: number;
  readonly hint: string;
  readonly onChange: (value: number) => void;
}

function Slider({ label, value, max, step, hint, onChange }: SliderProps): JSX.Element {
  return (
    <Field label={`${label}: ${value}`} hint={hint}>
      {({ id, describedBy }) => (
        <input
          type="range"
          id={id}
          aria-describedby={describedBy}
          min={0}
          max={max}
          step={step}
          value={value}
          onInput={(event) => onChange(Number(event.currentTarget.value))}
        />
      )}
    </Field>
  );
}

interface NumberFieldProps {
  readonly label: string;
  readonly value: number | null;
  readonly min: number;
  readonly max: number;
  readonly placeholder?: string;
  readonly hint?: string;
  readonly onChange: (value: number | null) => void;
}

function NumberField({
  label,
  value,
  min,
  max,
  placeholder = '',
  hint = '',
  onChange,
}: NumberFieldProps): JSX.Element {
  const take = (input: HTMLInputElement): void => {
    const entered = Math.round(Number(input.value));
    onChange(input.value === '' || !Number.isFinite(entered) ? null : Math.min(max, Math.max(min, entered)));
  };
  return (
    <Field label={label} hint={hint}>
      {({ id, describedBy }) => (
        <input
          class="input"
          type="number"
          inputMode="numeric"
          id={id}
          aria-describedby={describedBy}
          min={min}
          max={max}
          placeholder={placeholder}
          value={value ?? ''}
          onChange={(event) => take(event.currentTarget)}
        />
      )}
    </Field>
  );
}

function SeedField({ value }: { readonly value: string }): JSX.Element {
  return (
    <Field label="Seed" hint="Empty: another one each time. The same seed gives the same text.">
      {({ id, describedBy }) => (
        <input
          class="input"
          inputMode="numeric"
          autocomplete="off"
          id={id}
          aria-describedby={describedBy}
          placeholder="any"
          value={value}
          onInput={(event) => {
            event.currentTarget.value = event.currentTarget.value.replaceAll(/\D/g, '').slice(0, 20);
            change({ seed: event.currentTarget.value });
          }}
        />
      )}
    </Field>
  );
}

function SchemaField({ value }: { readonly value: string }): JSX.Element {
  const problem = schemaProblem(value);
  return (
    <Field label="JSON schema of the answer" hint="Empty: any text." problem={problem}>
      {({ id, describedBy }) => (
        <textarea
          class="input mono"
          id={id}
          rows={value === '' ? 2 : 7}
          spellcheck={false}
          aria-describedby={describedBy}
          aria-invalid={problem !== undefined}
          placeholder={'{ "type": "object", … }'}
          value={value}
          onInput={(event) => change({ schema: event.currentTarget.value })}
        />
      )}
    </Field>
  );
}

/** Undefined where the schema is JSON, or empty. */
export function schemaProblem(schema: string): string | undefined {
  if (schema.trim() === '') return undefined;
  try {
    JSON.parse(schema);
    return undefined;
  } catch (error) {
    return `This is not JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
}
