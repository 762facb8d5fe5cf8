// The thread sanitizer knows threads that pthread_create() starts, and no others; one that C11's
// thrd_create() has started ends the process at its first call which the sanitizer watches.
// librdkafka starts its own so. In builds with that sanitizer these stand in for the C library's.

#include <cstdint>
#include <memory>

#include <pthread.h>
#include <threads.h>

namespace {

struct Start {
  thrd_start_t function;
  void* argument;
};

void* run(void* start) {
  const std::unique_ptr<Start> given(static_cast<Start*>(start));
  const int result = given->function(given->argument);
  return reinterpret_cast<void*>(static_cast<std::intptr_t>(result));
}

}  // namespace

extern "C" {

int thrd_create(thrd_t* thread, thrd_start_t function, void* argument) {
  auto start = std::make_unique<Start>(Start{function, argument});
  if (pthread_create(thread, nullptr, run, start.get()) != 0) return thrd_error;
  static_cast<void>(start.release());  // run() has it
  return thrd_success;
}

int thrd_join(thrd_t thread, int* result) {
  void* value = nullptr;
  if (pthread_join(thread, &value) != 0) return thrd_error;
  if (result != nullptr) *result = static_cast<int>(reinterpret_cast<std::intptr_t>(value));
  return thrd_success;
}

int thrd_detach(thrd_t thread) { return pthread_detach(thread) == 0 ? thrd_success : thrd_error; }

}  // extern "C"
