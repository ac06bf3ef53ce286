/// criu(8), the program that writes processes to files and makes them again: found, started as
/// `criu swrk`, and spoken with over a socket until one dump or restore is done. Called by the
/// parent; for a restore, criu itself is born in the container's cgroup.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "features/criu_message.hpp"
#include "sys/fd.hpp"
#include "sys/process.hpp"
#include "tare/error.hpp"

namespace tare::criu {

/// The first program called criu in the directories of PATH, and then where distributions keep it:
/// callers leave PATH unset. nullopt where there is none.
std::optional<std::string> find_program();

/// As find_program. Throws Error(unsupported) where there is none.
std::string require_program();

/// Becomes criu that takes requests on `socket`: in a child of ours. `passed` stay open for it.
/// Returns only when it fails, with errno.
int execute(const std::string& program, sys::FdRef socket,
            const std::vector<sys::FdRef>& passed = {});

/// A notification, or the last answer, with the descriptor that came with it.
struct Notification {
  Response response{};
  sys::Fd attached{};
};

/// A criu that was started. Closing the socket is what ends it, so it is gone when this is.
class Worker {
 public:
  Worker(sys::Fd socket, sys::Child process) noexcept
      : socket_(std::move(socket)), process_(std::move(process)) {}
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  /// Throws Error(unsupported) for a criu older than 3.16, the first that keeps an LSM profile
  /// given at restore; before anything is stopped.
  void require_version();
  /// What it and the kernel can do. Throws Error(system).
  Features features();
  /// Asks for a dump, pre-dump or restore and answers its notifications by `notified`; where that
  /// throws, criu takes everything back. Throws that, or Error(system) "criu failed: type DUMP
  /// errno 3".
  Response request(RequestType type, const Options& options,
                   const std::function<void(Notification&)>& notified);
  /// Waits for its end. Throws Error(system) where that was no success.
  void finish();

 private:
  Notification receive(RequestType asked);

  sys::Fd socket_;
  sys::Child process_;
};

/// What a log of criu's has to say of errors: the texts, without time and place, each once, at most
/// `most` of them. Pure.
std::vector<std::string> errors_in(std::string_view log, std::size_t most);

/// Adds to `error` what criu's log in `directory`, which is called `path`, says about it.
void quote_log(Error& error, sys::FdRef directory, const std::string& name,
               const std::string& path);

}  // namespace tare::criu
