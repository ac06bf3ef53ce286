/// A connection to a message bus, by libdbus. Made by the parent, never in a process of a
/// container, and only where the systemd driver needs it.
///
/// libdbus is linked as Debian's archive with the calls renamed that a static binary must not make
/// (name services) or that need another answer here (bus_imports.cpp).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sys/bus_value.hpp"

struct DBusConnection;

namespace tare::sys {

/// Whom a call is for, and which one.
struct BusMethod {
  std::string_view destination;  ///< "org.freedesktop.systemd1"
  std::string_view path;         ///< "/org/freedesktop/systemd1"
  std::string_view interface;    ///< "org.freedesktop.systemd1.Manager"
  std::string_view name;         ///< "StartTransientUnit"
};

/// What came back: values, or the error of the peer.
struct BusReply {
  std::vector<BusValue> values{};
  std::string error_name{};  ///< "org.freedesktop.systemd1.UnitExists"; empty where there is none
  std::string error_text{};
  bool failed() const noexcept { return !error_name.empty(); }
};

class Bus {
 public:
  /// Connects to an address such as "unix:path=/run/dbus/system_bus_socket", and waits
  /// `timeout_ms` at most until it is let in. Throws Error(system).
  Bus(const std::string& address, int timeout_ms);

  /// Calls and waits for the answer. Throws Error(system) where there is none within `timeout_ms`
  /// or the connection breaks; an error that the peer answers with is in the reply.
  BusReply call(const BusMethod& method, const std::vector<BusValue>& arguments, int timeout_ms);

  /// Calls without wanting an answer, and returns when it is on its way. Best effort.
  void post(const BusMethod& method, const std::vector<BusValue>& arguments) noexcept;

  /// Asks for the signals of this rule. Throws Error(system).
  void subscribe(const std::string& rule, int timeout_ms);

  using Wanted = std::function<bool(const std::vector<BusValue>&)>;
  /// The arguments of the first signal of this name that is `wanted` and has arrived or arrives in
  /// time; empty after `timeout_ms`, however many others came. Those are dropped. Throws
  /// Error(system) where the connection breaks.
  std::vector<BusValue> await_signal(const char* interface, const char* name, const Wanted& wanted,
                                     int timeout_ms);

 private:
  struct Close {
    void operator()(DBusConnection* connection) const noexcept;
  };
  void authenticate(int timeout_ms);

  std::unique_ptr<DBusConnection, Close> connection_;
  std::string address_;
};

}  // namespace tare::sys
