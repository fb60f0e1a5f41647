import { ERRORS, type TidarError } from '@tidar/shared/errors.ts';

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
