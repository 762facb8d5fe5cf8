#include "framemill/infer/onnxruntime/onnxruntime_facts.h"

#include <exception>
#include <filesystem>

#include <fmt/format.h>

#include "framemill/infer/cpu_plan.h"
#include "framemill/infer/onnxruntime/cuda_facts.h"
#include "framemill/infer/onnxruntime/ort_library.h"

namespace framemill {

RuntimeFacts read_onnxruntime_facts() {
  RuntimeFacts facts;
  facts.name = "ONNX Runtime";
  const Result<OnnxRuntimeLibrary*> library = load_onnxruntime();
  if (!library) {
    facts.missing.push_back(library.error().message());
    return facts;
  }
  facts.name = (*library)->name();
  facts.devices.push_back("CPU: " + cpu_name());
  facts.providers.emplace_back("CPU");
  std::error_code ignored;
  bool has_any = false;
  for (const auto& [provider, name] :
       {std::pair(OnnxProvider::kCuda, "cuda"), std::pair(OnnxProvider::kTensorRt, "tensorrt"),
        std::pair(OnnxProvider::kTensorRtRtx, "rtx")}) {
    if (!std::filesystem::exists(
            std::filesystem::path((*library)->folder) / provider_library(provider), ignored))
      continue;
    facts.providers.emplace_back(name);
    has_any = true;
  }
  if (!has_any) return facts;  // the build for CPUs: nothing is missing that anybody asked for
  const Result<CudaFacts> cuda = read_cuda_facts();
  if (!cuda) {
    facts.missing.push_back(cuda.error().message());
    return facts;
  }
  for (std::size_t i = 0; i < cuda->devices.size(); ++i)
    for (const std::string& provider : facts.providers)
      if (provider != "CPU")
        facts.devices.push_back(fmt::format("{}:{}: {}", provider, i, cuda->devices[i].name));
  return facts;
}

}  // namespace framemill
