#include "framemill/plan/model_name.h"

#include "framemill/base/text_case.h"

namespace framemill {

bool is_model_named(std::string_view wanted, std::string_view file_name) {
  return wanted.empty() || is_same_text(wanted, file_name) ||
         is_same_text(wanted, file_name.substr(0, file_name.rfind('.')));
}

}  // namespace framemill
