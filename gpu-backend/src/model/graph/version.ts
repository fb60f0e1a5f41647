/** Counts changes of the graph that may change its numbers; part of every fingerprint. */
export const GRAPH_VERSION = 3;
