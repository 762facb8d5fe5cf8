#include "framemill/infer/runtime_facts.h"

#ifdef FRAMEMILL_ONNXRUNTIME
#include "framemill/infer/onnxruntime/onnxruntime_facts.h"
#endif
#ifdef FRAMEMILL_OPENVINO
#include "framemill/infer/openvino/openvino_facts.h"
#endif

namespace framemill {

std::vector<RuntimeFacts> list_runtimes() {
  std::vector<RuntimeFacts> runtimes;
#ifdef FRAMEMILL_OPENVINO
  runtimes.push_back(read_openvino_facts());
#endif
#ifdef FRAMEMILL_ONNXRUNTIME
  runtimes.push_back(read_onnxruntime_facts());
#endif
  return runtimes;
}

std::vector<AbsentRuntime> list_absent_runtimes() {
  std::vector<AbsentRuntime> absent;
#ifndef FRAMEMILL_OPENVINO
  absent.push_back({"OpenVINO", "-DFRAMEMILL_OPENVINO=ON"});
#endif
#ifndef FRAMEMILL_ONNXRUNTIME
  absent.push_back({"ONNX Runtime", "-DFRAMEMILL_ONNXRUNTIME=ON"});
#endif
  return absent;
}

}  // namespace framemill
