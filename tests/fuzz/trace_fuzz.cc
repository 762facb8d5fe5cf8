// Fuzz target of read_scenes(): any bytes give scenes that can be simulated, or a message that
// names the file; never a crash, a hang or a thrown exception. Needs clang; from the repository's
// root:
//
//   clang++-14 -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Isrc
//   tests/fuzz/trace_fuzz.cc
//     $(ls src/framemill/{base,core,metrics,sched}/*.cc | grep -v -e _test.cc -e _bench.cc)
//     src/framemill/plan/{read_scenes,scene_trace,trace_reader}.cc
//     -lfmt -pthread -o trace_fuzz                                                (all in one line)
//   ./trace_fuzz -max_total_time=60 -timeout=5 corpus      (corpus: a few short traces)

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

#include "framemill/base/check.h"
#include "framemill/plan/read_scenes.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int file = ::memfd_create("trace", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  CHECK(file >= 0 && ::ftruncate(file, 0) == 0);
  CHECK(::pwrite(file, data, size, 0) == static_cast<ssize_t>(size));
  const framemill::Result<framemill::RecordedScenes> recorded = framemill::read_scenes(path);
  if (!recorded) {
    CHECK(recorded.error().message().starts_with(path));
    return 0;
  }
  CHECK(recorded->replayed <= recorded->records);
  CHECK(!recorded->scenes->cameras.empty());
  for (const framemill::TracedCamera& camera : recorded->scenes->cameras) {
    CHECK(camera.period > framemill::Duration::zero() && camera.frames.size() >= 2);
    for (const framemill::TracedFrame& frame : camera.frames) {
      CHECK(frame.offset >= framemill::Duration::zero() && frame.loss >= 0 && frame.loss <= 1);
      CHECK(frame.drift >= 0 && frame.unexplained >= 0);
    }
  }
  return 0;
}
