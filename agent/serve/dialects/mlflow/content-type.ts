import { SkerryError } from '#shared/kernel/errors.js';

export type ScoringType = 'text/csv' | 'application/json';

const TYPES: readonly ScoringType[] = ['text/csv', 'application/json'];

/** What a body is, by its content type. Errors: `SERVE_CONTENT_TYPE` for other types, parameters and encodings of text. */
export function scoringType(header: string | undefined): ScoringType {
  const [name = '', ...parameters] = (header ?? '').split(';').map((part) => part.trim());
  const type = TYPES.find((known) => known === name.toLowerCase());
  if (type === undefined) {
    const found = name === '' ? 'The request has none' : `The request has ${JSON.stringify(name.slice(0, 64))}`;
    throw new SkerryError('SERVE_CONTENT_TYPE', `This predictor reads the content types ${TYPES.join(' and ')}. ${found}.`);
  }
  for (const parameter of parameters) {
    const [key = '', value = ''] = parameter.split('=').map((part) => part.trim());
    if (key.toLowerCase() !== 'charset') {
      const format = 'the format of MLflow 1 (format=pandas-split) is not supported';
      throw new SkerryError('SERVE_CONTENT_TYPE', `Unrecognized content type parameter ${JSON.stringify(key.slice(0, 64))}; ${format}.`);
    }
    if (value.replaceAll('"', '').toLowerCase() !== 'utf-8') {
      throw new SkerryError('SERVE_CONTENT_TYPE', 'The scoring server reads UTF-8 only.');
    }
  }
  return type;
}
