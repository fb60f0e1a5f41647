import { ERRORS, TidarError } from '@tidar/shared/errors.ts';

export interface OpenAiErrorBody {
  error: { message: string; type: string; param: string | null; code: string };
}

/** The one place where an error gets OpenAI's format. */
export function openAiErrorBody(error: TidarError): OpenAiErrorBody {
  const { message, code, param } = error;
  return { error: { message, type: ERRORS[code].openaiType, param: param ?? openAiParam(code), code } };
}

/** The backend knows of no OpenAI parameter, so where a code has but one, it is named here. */
function openAiParam(code: TidarError['code']): string | null {
  if (code === 'context_length_exceeded') return 'messages';
  return code === 'model_not_found' ? 'model' : null;
}

/** `param`: where the place was named, if that was by a parameter. */
export function invalidPlace(param?: string): TidarError {
  const message = 'The place to go on from is not one of this answer: give the id of an event that it had.';
  return new TidarError('invalid_request', message, param === undefined ? {} : { param });
}
