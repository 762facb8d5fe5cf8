/* TensorRT 10.7.1, as far as it tells its version. */
int getInferLibVersion(void) { return 100701; }
