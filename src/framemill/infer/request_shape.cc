#include "framemill/infer/request_shape.h"

#include <cstdlib>

#include <fmt/format.h>

namespace framemill {

Result<void> check_request_shape(const ModelFacts& facts, std::size_t batch, Size input) {
  if (batch < 1 || batch > facts.batch_max)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: a batch of {} is not possible; the model takes 1 to {}{}",
                            facts.path, batch, facts.batch_max,
                            facts.batch_max == 1 ? ", export it with a dynamic batch" : ""));
  const bool is_size_right = facts.input ? input == *facts.input
                                         : input.width > 0 && input.height > 0 &&
                                               input.width % facts.input_multiple == 0 &&
                                               input.height % facts.input_multiple == 0;
  if (!is_size_right)
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{}: an input of {}x{} is not possible; the model takes {}", facts.path,
                    input.width, input.height,
                    facts.input ? fmt::format("{}x{} only", facts.input->width, facts.input->height)
                                : fmt::format("multiples of {}", facts.input_multiple)));
  return {};
}

int input_multiple_of(const ModelFacts& facts) {
  constexpr int kDefault = 32;
  const auto stride = facts.metadata.find("stride");
  if (stride == facts.metadata.end()) return kDefault;
  const int value = std::atoi(stride->second.c_str());
  return value >= 1 && value <= 1024 ? value : kDefault;
}

}  // namespace framemill
