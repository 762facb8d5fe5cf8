/* Two devices with the binary interface of NVML: one that tells everything, one that refuses what older cards do not have. */
#include <string.h>

static int ready = 0;
enum { kSuccess = 0, kUninitialized = 1, kInvalidArgument = 2, kNotSupported = 3 };
static char devices[2];

int nvmlInit_v2(void) { ready = 1; return kSuccess; }
int nvmlShutdown(void) { ready = 0; return kSuccess; }
int nvmlSystemGetDriverVersion(char* version, unsigned length) {
  if (!ready || length < 10) return kInvalidArgument;
  strcpy(version, "580.95.05");
  return kSuccess;
}
int nvmlSystemGetCudaDriverVersion_v2(int* version) {
  if (!ready) return kUninitialized;
  *version = 13000;
  return kSuccess;
}
int nvmlDeviceGetCount_v2(unsigned* count) {
  if (!ready) return kUninitialized;
  *count = 2;
  return kSuccess;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  if (index > 1) return kInvalidArgument;
  *device = &devices[index];
  return kSuccess;
}
int nvmlDeviceGetHandleByUUID(const char* uuid, void** device) {
  if (strcmp(uuid, "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f")) return kInvalidArgument;
  *device = &devices[0];
  return kSuccess;
}
int nvmlDeviceGetHandleByPciBusId_v2(const char* id, void** device) {
  if (strcmp(id, "0000:3B:00.0")) return kInvalidArgument;
  *device = &devices[1];
  return kSuccess;
}
int nvmlDeviceGetName(void* device, char* name, unsigned length) {
  const char* text = device == &devices[0] ? "Fake H200" : "Fake T4";
  if (strlen(text) + 1 > length) return kInvalidArgument;
  strcpy(name, text);
  return kSuccess;
}
int nvmlDeviceGetUtilizationRates(void* device, unsigned* rates) {
  if (device != &devices[0]) return kNotSupported;
  rates[0] = 87;
  rates[1] = 40;
  return kSuccess;
}
int nvmlDeviceGetMemoryInfo(void* device, unsigned long long* memory) {
  (void)device;
  memory[0] = 16ULL << 30; /* total, free, used */
  memory[1] = 12ULL << 30;
  memory[2] = 4ULL << 30;
  return kSuccess;
}
int nvmlDeviceGetTemperature(void* device, unsigned sensor, unsigned* celsius) {
  if (device != &devices[0] || sensor != 0) return kNotSupported;
  *celsius = 61;
  return kSuccess;
}
int nvmlDeviceGetPowerUsage(void* device, unsigned* milliwatts) {
  if (device != &devices[0]) return kNotSupported;
  *milliwatts = 312500;
  return kSuccess;
}
