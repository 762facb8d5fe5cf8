// FFmpeg looks names up, follows redirects and opens what a playlist names all by itself, and has
// no call-back that sees the address of a connection before it is made. Nor would looking the name
// up beforehand help: the name service may answer FFmpeg differently a moment later. What all its
// ways have in common is the C library's connect(), and sendto() for packets of RTP. This program
// defines both, and the loader gives a program's own functions precedence over a shared library's;
// they ask the gate of the thread, where there is one, and go on to the C library. The resolver's
// own sockets use functions inside of the C library and are not asked about.
//
// PacketReader refuses a camera whose gate was never asked: were the functions not in force, for
// instance in another way of linking, then nothing would be let through unseen.
#include "framemill/video/connect_gate.h"

#include <array>
#include <cerrno>

#include <dlfcn.h>
#include <netdb.h>

#include "framemill/base/check.h"

namespace framemill {
namespace {

thread_local ConnectGate* gate_of_thread = nullptr;

/// The C library's function of this name, or a sanitizer's.
template <typename Function>
Function* next_function(const char* name) {
  void* const found = dlsym(RTLD_NEXT, name);
  CHECK(found != nullptr);
  return reinterpret_cast<Function*>(found);
}

bool is_refused(const sockaddr* address, socklen_t size) {
  ConnectGate* const gate = ConnectGate::current();
  if (gate == nullptr || gate->admits(address, size)) return false;
  errno = EACCES;
  return true;
}

}  // namespace

ConnectGate::ConnectGate(const AddressFilter& filter) : filter_(filter ? &filter : nullptr) {
  CHECK(gate_of_thread == nullptr);
  if (is_active()) gate_of_thread = this;
}

ConnectGate::~ConnectGate() {
  if (is_active()) gate_of_thread = nullptr;
}

ConnectGate* ConnectGate::current() { return gate_of_thread; }

bool ConnectGate::admits(const sockaddr* address, socklen_t size) {
  if (address == nullptr) return true;  // a socket that is connected sends where it was let to
  if (address->sa_family != AF_INET && address->sa_family != AF_INET6) return true;
  was_asked_ = true;
  std::array<char, NI_MAXHOST> text{};
  const int error =
      getnameinfo(address, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
  const Result<void> allowed =
      error == 0 ? (*filter_)(text.data())
                 : fail(ErrorCode::kFailedPrecondition, "an address that cannot be read");
  if (!allowed) refusal_ = allowed.error();
  return allowed.has_value();
}

}  // namespace framemill

extern "C" {

[[gnu::visibility("default")]] int connect(int socket, const sockaddr* address, socklen_t size) {
  static const auto next =
      framemill::next_function<int(int, const sockaddr*, socklen_t)>("connect");
  return framemill::is_refused(address, size) ? -1 : next(socket, address, size);
}

[[gnu::visibility("default")]] ssize_t sendto(int socket, const void* data, size_t count, int flags,
                                              const sockaddr* address, socklen_t size) {
  static const auto next =
      framemill::next_function<ssize_t(int, const void*, size_t, int, const sockaddr*, socklen_t)>(
          "sendto");
  return framemill::is_refused(address, size) ? -1
                                              : next(socket, data, count, flags, address, size);
}

}  // extern "C"
