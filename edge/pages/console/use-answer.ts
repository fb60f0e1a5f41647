import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { wordsOf } from './session.ts';

export interface Answered<T> {
  /** The last answer, until another comes; undefined before the first. */
  readonly answer: T | undefined;
  /** Why the last question had none, in words. */
  readonly problem: string | undefined;
  readonly reload: () => void;
}

/** Asks when the view is drawn, again when `subject` changes, and every `everyMs` while the page is looked at. */
export function useAnswer<T>(
  load: (signal: AbortSignal) => Promise<T>,
  subject: string,
  everyMs?: number,
): Answered<T> {
  const [state, setState] = useState<{ subject: string; answer?: T; problem?: string }>({ subject });
  const [turn, setTurn] = useState(0);
  const latest = useRef(load);
  const isAsking = useRef(false);
  latest.current = load;
  const reload = useCallback(() => setTurn((before) => before + 1), []);
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    isAsking.current = true;
    latest
      .current(signal)
      .then((answer) => signal.aborted || setState({ subject, answer }))
      .catch((error: unknown) => {
        if (!signal.aborted) setState((before) => ({ ...before, subject, problem: wordsOf(error) }));
      })
      .finally(() => {
        if (!signal.aborted) isAsking.current = false;
      });
    return () => controller.abort();
  }, [subject, turn]);
  useEffect(() => {
    if (everyMs === undefined) return;
    const timer = setInterval(() => {
      // Whoever is slow to answer is not asked again meanwhile.
      if (document.visibilityState === 'visible' && !isAsking.current) reload();
    }, everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return { answer: state.answer, problem: state.subject === subject ? state.problem : undefined, reload };
}
