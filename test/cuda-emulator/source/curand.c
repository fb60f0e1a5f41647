// The provider is linked to cuRAND, and calls nothing of it in a step.
int curand_is_emulated(void) { return 1; }
