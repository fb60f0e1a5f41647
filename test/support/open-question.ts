/**
 * A question that the demo model has no one answer to: it writes on for as long as it may, and at a temperature every
 * seed writes something else.
 */
export const OPEN_QUESTION = 'Complete this declaration: export interface Dog {';
