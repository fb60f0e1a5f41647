/** Settles at the first signal; the second one ends this process, after what `atSecond` does. */
export function whenInterrupted(atSecond?: () => void): Promise<void> {
  return new Promise((resolve) => {
    let isStopping = false;
    const onSignal = (): void => {
      if (isStopping) {
        atSecond?.();
        process.exit(1);
      }
      isStopping = true;
      resolve();
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  });
}
