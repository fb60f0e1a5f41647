/** What a text must be. Plain data: it crosses threads and is the key of compiled grammars. */
export type GrammarSpec =
  | { readonly type: 'json_schema'; readonly schema: unknown }
  | { readonly type: 'json_object' }
  | { readonly type: 'regex'; readonly pattern: string }
  | { readonly type: 'grammar'; readonly ebnf: string };
