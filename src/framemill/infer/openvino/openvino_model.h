#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <openvino/openvino.hpp>

#include "framemill/base/result.h"
#include "framemill/core/geometry.h"
#include "framemill/vision/yolo_head.h"

namespace framemill {

/// What of the graph decides how it may be reshaped.
struct InputLayout {
  bool is_channels_last = false;
  bool is_batch_dynamic = false;
  bool is_size_dynamic = false;
};

/// What a model's file says, apart from the graph.
struct OpenVinoModelFacts {
  InputLayout layout;
  std::optional<Size> input;  ///< empty: any size
  std::string precision;      ///< of the weights
  std::vector<OutputShape> outputs;
  std::map<std::string, std::string> metadata;
};

struct OpenVinoModel {
  OpenVinoModelFacts facts;
  std::shared_ptr<ov::Model> graph;  ///< input NCHW, and that and all real outputs of 32-bit floats
};

/// Any thread. Errors: kInvalidArgument where OpenVINO cannot read the file, kUnsupported where it
/// is no detector's graph, each with path and reason; throws what OpenVINO throws beside that.
[[nodiscard]] Result<OpenVinoModel> read_openvino_model(ov::Core& core, const std::string& path);

}  // namespace framemill
