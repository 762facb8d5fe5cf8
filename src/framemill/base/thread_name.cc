#include "framemill/base/thread_name.h"

#include <string>

#include <pthread.h>

namespace framemill {

void name_this_thread(std::string_view kind, std::string_view of) {
  constexpr std::size_t kBytesMax = 15;  // and a zero: what Linux keeps
  std::string name(kind);
  if (!of.empty()) {
    name += ' ';
    name += of.substr(of.rfind('/') + 1);
  }
  if (name.size() > kBytesMax) name.resize(kBytesMax);
  pthread_setname_np(pthread_self(), name.c_str());
}

}  // namespace framemill
