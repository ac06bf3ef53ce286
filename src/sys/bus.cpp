#include "sys/bus.hpp"

#include <dbus/dbus.h>
#include <fmt/core.h>

#include <algorithm>
#include <cerrno>

#include "sys/deadline.hpp"
#include "tare/error.hpp"

namespace tare::sys {
namespace {

using Message = std::unique_ptr<DBusMessage, void (*)(DBusMessage*)>;

class BusError {
 public:
  BusError() { dbus_error_init(&error_); }
  BusError(const BusError&) = delete;
  BusError& operator=(const BusError&) = delete;
  ~BusError() { dbus_error_free(&error_); }
  DBusError* get() noexcept { return &error_; }
  std::string name() const { return error_.name != nullptr ? error_.name : ""; }
  std::string text() const { return error_.message != nullptr ? error_.message : ""; }

 private:
  DBusError error_{};
};

[[noreturn]] void out_of_memory() {
  throw Error::from_errno(ENOMEM, "dbus message");
}

void append(DBusMessageIter& to, const BusValue& value);

// What libdbus is to be told that an array or a variant holds: nothing for a structure.
std::string inner_signature(const BusValue& value) {
  const char kind = value.signature.front();
  if (kind == 'a') return value.signature.substr(1);
  if (kind == 'v') return std::get<std::vector<BusValue>>(value.content).front().signature;
  return {};
}

int container_type(char letter) noexcept {
  return letter == '('   ? DBUS_TYPE_STRUCT
         : letter == '{' ? DBUS_TYPE_DICT_ENTRY
                         : static_cast<unsigned char>(letter);
}

void append_container(DBusMessageIter& to, const BusValue& value) {
  const std::string inner = inner_signature(value);
  DBusMessageIter below;
  if (!dbus_message_iter_open_container(&to, container_type(value.signature.front()),
                                        inner.empty() ? nullptr : inner.c_str(), &below)) {
    out_of_memory();
  }
  for (const BusValue& item : std::get<std::vector<BusValue>>(value.content)) append(below, item);
  if (!dbus_message_iter_close_container(&to, &below)) out_of_memory();
}

// libdbus reads a number through a pointer to its own width, which is the low bytes on a
// little-endian machine and nothing on a big one: narrowed first.
template <typename Number>
void append_number(DBusMessageIter& to, int type, std::uint64_t bits) {
  const auto number = static_cast<Number>(bits);
  if (!dbus_message_iter_append_basic(&to, type, &number)) out_of_memory();
}

void append_bits(DBusMessageIter& to, int type, std::uint64_t bits) {
  switch (type) {
    case DBUS_TYPE_BYTE:
      return append_number<unsigned char>(to, type, bits);
    case DBUS_TYPE_INT16:
    case DBUS_TYPE_UINT16:
      return append_number<std::uint16_t>(to, type, bits);
    case DBUS_TYPE_INT64:
    case DBUS_TYPE_UINT64:
      return append_number<std::uint64_t>(to, type, bits);
    default:
      return append_number<std::uint32_t>(to, type, bits);
  }
}

void append(DBusMessageIter& to, const BusValue& value) {
  const int type = static_cast<unsigned char>(value.signature.front());
  if (const auto* text = std::get_if<std::string>(&value.content)) {
    const char* const start = text->c_str();
    if (!dbus_message_iter_append_basic(&to, type, &start)) out_of_memory();
  } else if (const auto* real = std::get_if<double>(&value.content)) {
    if (!dbus_message_iter_append_basic(&to, type, real)) out_of_memory();
  } else if (const auto* bits = std::get_if<std::uint64_t>(&value.content)) {
    append_bits(to, type, *bits);
  } else {
    append_container(to, value);
  }
}

std::vector<BusValue> read_all(DBusMessageIter& from);

BusValue read_one(DBusMessageIter& from) {
  BusValue value;
  char* const signature = dbus_message_iter_get_signature(&from);
  if (signature == nullptr) out_of_memory();
  value.signature = signature;
  dbus_free(signature);
  const int type = dbus_message_iter_get_arg_type(&from);
  if (dbus_type_is_container(type)) {
    DBusMessageIter below;
    dbus_message_iter_recurse(&from, &below);
    value.content = read_all(below);
    return value;
  }
  DBusBasicValue basic{};
  dbus_message_iter_get_basic(&from, &basic);
  if (type == DBUS_TYPE_STRING || type == DBUS_TYPE_OBJECT_PATH || type == DBUS_TYPE_SIGNATURE) {
    value.content = std::string(basic.str);
  } else if (type == DBUS_TYPE_DOUBLE) {
    value.content = basic.dbl;
  } else {
    value.content = std::uint64_t{basic.u64};
  }
  return value;
}

std::vector<BusValue> read_all(DBusMessageIter& from) {
  std::vector<BusValue> values;
  while (dbus_message_iter_get_arg_type(&from) != DBUS_TYPE_INVALID) {
    values.push_back(read_one(from));
    dbus_message_iter_next(&from);
  }
  return values;
}

std::vector<BusValue> arguments_of(DBusMessage* message) {
  DBusMessageIter iterator;
  if (!dbus_message_iter_init(message, &iterator)) return {};
  return read_all(iterator);
}

Message make_message(const BusMethod& method, const std::vector<BusValue>& arguments) {
  Message message(dbus_message_new_method_call(
                      std::string(method.destination).c_str(), std::string(method.path).c_str(),
                      std::string(method.interface).c_str(), std::string(method.name).c_str()),
                  dbus_message_unref);
  if (!message) out_of_memory();
  DBusMessageIter iterator;
  dbus_message_iter_init_append(message.get(), &iterator);
  for (const BusValue& argument : arguments) append(iterator, argument);
  return message;
}

// libdbus says why in English; callers match on the words of errno.
Error connection_error(const std::string& address, const BusError& error) {
  const int number = error.name() == DBUS_ERROR_FILE_NOT_FOUND  ? ENOENT
                     : error.name() == DBUS_ERROR_NO_SERVER     ? ECONNREFUSED
                     : error.name() == DBUS_ERROR_ACCESS_DENIED ? EACCES
                     : error.name() == DBUS_ERROR_AUTH_FAILED   ? EACCES
                     : error.name() == DBUS_ERROR_NO_REPLY      ? ETIMEDOUT
                                                                : EIO;
  return Error::from_errno(number, fmt::format("connect to {} ({})", address, error.text()));
}

}  // namespace

void Bus::Close::operator()(DBusConnection* connection) const noexcept {
  dbus_connection_close(connection);
  dbus_connection_unref(connection);
}

Bus::Bus(const std::string& address, int timeout_ms) : address_(address) {
  BusError error;
  connection_.reset(dbus_connection_open_private(address.c_str(), error.get()));
  if (!connection_) throw connection_error(address, error);
  // Or libdbus would end this process when the peer goes away.
  dbus_connection_set_exit_on_disconnect(connection_.get(), false);
  authenticate(timeout_ms);
  if (!dbus_bus_register(connection_.get(), error.get())) {
    throw connection_error(address, error);
  }
}

// Left to the first call it would have no end: libdbus waits for as long as it takes before it
// sends.
void Bus::authenticate(int timeout_ms) {
  const Deadline deadline(timeout_ms);
  while (!dbus_connection_get_is_authenticated(connection_.get())) {
    const int left_ms = deadline.left_ms();
    if (left_ms == 0) throw Error::from_errno(ETIMEDOUT, fmt::format("connect to {}", address_));
    if (!dbus_connection_read_write(connection_.get(), left_ms)) {
      throw Error::from_errno(ECONNRESET, fmt::format("connect to {}", address_));
    }
  }
}

BusReply Bus::call(const BusMethod& method, const std::vector<BusValue>& arguments,
                   int timeout_ms) {
  const Message message = make_message(method, arguments);
  BusError error;
  const Message reply(dbus_connection_send_with_reply_and_block(connection_.get(), message.get(),
                                                                timeout_ms, error.get()),
                      dbus_message_unref);
  if (reply) return {.values = arguments_of(reply.get())};
  const std::string name = error.name();
  const bool no_answer = name == DBUS_ERROR_NO_REPLY || name == DBUS_ERROR_DISCONNECTED ||
                         name == DBUS_ERROR_NO_MEMORY || name == DBUS_ERROR_TIMEOUT;
  if (!no_answer) return {.error_name = name, .error_text = error.text()};
  throw Error::from_errno(name == DBUS_ERROR_NO_MEMORY      ? ENOMEM
                          : name == DBUS_ERROR_DISCONNECTED ? ECONNRESET
                                                            : ETIMEDOUT,
                          fmt::format("{} at {}", method.name, address_));
}

void Bus::post(const BusMethod& method, const std::vector<BusValue>& arguments) noexcept {
  try {
    const Message message = make_message(method, arguments);
    dbus_message_set_no_reply(message.get(), true);
    dbus_connection_send(connection_.get(), message.get(), nullptr);
    dbus_connection_flush(connection_.get());
  } catch (const Error&) {
    return;
  }
}

void Bus::subscribe(const std::string& rule, int timeout_ms) {
  const BusReply reply = call({.destination = DBUS_SERVICE_DBUS,
                               .path = DBUS_PATH_DBUS,
                               .interface = DBUS_INTERFACE_DBUS,
                               .name = "AddMatch"},
                              {BusValue::string(rule)}, timeout_ms);
  if (reply.failed()) {
    throw Error(ErrorKind::system, fmt::format("AddMatch at {}: {}", address_, reply.error_text));
  }
}

std::vector<BusValue> Bus::await_signal(const char* interface, const char* name,
                                        const Wanted& wanted, int timeout_ms) {
  const Deadline deadline(timeout_ms);
  for (;;) {
    while (true) {
      const Message message(dbus_connection_pop_message(connection_.get()), dbus_message_unref);
      if (!message) break;
      if (!dbus_message_is_signal(message.get(), interface, name)) continue;
      std::vector<BusValue> arguments = arguments_of(message.get());
      if (wanted(arguments)) return arguments;
    }
    const int left_ms = deadline.left_ms();
    if (left_ms == 0) return {};
    if (!dbus_connection_read_write(connection_.get(), left_ms)) {
      throw Error::from_errno(ECONNRESET, fmt::format("wait for {} at {}", name, address_));
    }
  }
}

}  // namespace tare::sys
