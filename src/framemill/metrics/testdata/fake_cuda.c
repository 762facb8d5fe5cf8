/* CUDA's driver as it counts the devices of fake_nvml.c: in the opposite order, or only the second where the process may see no
   other. The one that NVML calls the first is told by its UUID, the other by its address. */
#include <stdlib.h>
#include <string.h>

static int visible(void) { return getenv("FAKE_CUDA_VISIBLE") != NULL ? atoi(getenv("FAKE_CUDA_VISIBLE")) : 2; }

int cuInit(unsigned flags) { return flags != 0; }
int cuDeviceGetCount(int* count) {
  *count = visible();
  return 0;
}
int cuDeviceGet(int* device, int index) {
  *device = 10 + index; /* a handle, not an index */
  return index >= visible();
}
int cuDeviceGetUuid_v2(unsigned char* uuid, int device) {
  if (device != 11) return 1;
  for (int i = 0; i < 16; ++i) uuid[i] = (unsigned char)i;
  return 0;
}
int cuDeviceGetPCIBusId(char* id, int length, int device) {
  if (length < 13) return 1;
  strcpy(id, device == 10 ? "0000:3B:00.0" : "0000:FF:00.0");
  return 0;
}
