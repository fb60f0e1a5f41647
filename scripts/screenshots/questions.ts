/** Of the kinds that the demo model knows. */
export const QUESTIONS = [
  'Ana has 7 bags of 6 apples and 5 loose apples. How many apples does Ana have?',
  'A kite costs 12 dollars but today it is 7 dollars cheaper. How many dollars do 7 kites cost today?',
  'What is the capital of Kenya?',
  'What is the capital of France?',
] as const;
