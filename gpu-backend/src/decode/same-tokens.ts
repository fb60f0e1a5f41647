import { TidarError } from '@tidar/shared/errors.ts';
import type { ModelFolder } from '../model/folder.ts';

/**
 * Throws where a draft model's tokens are not the model's own. Either may have more of them (padding, a mask token):
 * those are never drafted.
 */
export function assertSameTokens(draft: ModelFolder, model: ModelFolder): void {
  const problem = tokenDifference(draft, model);
  if (problem === undefined) return;
  throw new TidarError(
    'model_folder_invalid',
    `The draft model ${draft.name} cannot draft for ${model.name}: ${problem}.`,
    { param: 'draft_model' },
  );
}

function tokenDifference(draft: ModelFolder, model: ModelFolder): string | undefined {
  if (draft.tokenizer === undefined || model.tokenizer === undefined) {
    if ((draft.tokenizer ?? model.tokenizer) !== undefined)
      return 'one of them has a tokenizer and the other has none';
    const [mine, its] = [model.config.vocabSize, draft.config.vocabSize];
    return mine === its
      ? undefined
      : `without tokenizers their vocabularies must have one size, not ${its} and ${mine}`;
  }
  const numShared = Math.min(draft.tokenizer.vocabSize, model.tokenizer.vocabSize);
  for (let id = 0; id < numShared; id++) {
    const [its, mine] = [nameOf(draft.tokenizer, id), nameOf(model.tokenizer, id)];
    if (its !== mine) return `token ${id} is ${its} there and ${mine} here, so their tokenizers differ`;
  }
  return undefined;
}

function nameOf(tokenizer: NonNullable<ModelFolder['tokenizer']>, id: number): string {
  const special = tokenizer.specialName(id);
  if (special !== undefined) return `the special ${JSON.stringify(special)}`;
  const bytes = tokenizer.bytesOf(id);
  return bytes === undefined ? 'unused' : JSON.stringify(Buffer.from(bytes).toString('latin1'));
}
