#include "sys/netlink.hpp"

#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "sys/describe.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

namespace tare::sys {
namespace {

// A dump comes in parts of up to 32 KiB (NLMSG_GOODSIZE and netlink_dump() in the kernel).
constexpr std::size_t kReceiveSize = 64U << 10U;

constexpr std::size_t aligned(std::size_t size) {
  return (size + NLMSG_ALIGNTO - 1) / NLMSG_ALIGNTO * NLMSG_ALIGNTO;
}

template <typename T>
std::string_view bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

template <typename T>
T read_as(std::string_view bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
  return value;
}

void append_padded(std::string& out, std::string_view bytes) {
  out += bytes;
  out.resize(aligned(out.size()));
}

void append_attribute(std::string& out, std::uint16_t type, std::string_view bytes) {
  const rtattr head{.rta_len = static_cast<std::uint16_t>(sizeof(rtattr) + bytes.size()),
                    .rta_type = type};
  append_padded(out, bytes_of(head));
  append_padded(out, bytes);
}

// A name with the zero at its end, which the kernel wants to see.
void append_name(std::string& out, const std::string& name) {
  append_attribute(out, IFLA_IFNAME, {name.c_str(), name.size() + 1});
}

// A message without its attributes; its length and number are filled in when it is sent.
template <typename Body>
std::string begin(std::uint16_t type, std::uint16_t flags, const Body& body) {
  const nlmsghdr head{.nlmsg_len = 0,
                      .nlmsg_type = type,
                      .nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags),
                      .nlmsg_seq = 0,
                      .nlmsg_pid = 0};
  std::string out;
  append_padded(out, bytes_of(head));
  append_padded(out, bytes_of(body));
  return out;
}

// Calls `visit(type, bytes)` for each attribute. A length that does not fit ends it.
template <typename Visit>
void each_attribute(std::string_view bytes, Visit visit) {
  while (bytes.size() >= sizeof(rtattr)) {
    const auto head = read_as<rtattr>(bytes);
    if (head.rta_len < sizeof(rtattr) || head.rta_len > bytes.size()) return;
    visit(static_cast<std::uint16_t>(head.rta_type & NLA_TYPE_MASK),
          bytes.substr(sizeof(rtattr), head.rta_len - sizeof(rtattr)));
    bytes.remove_prefix(std::min(aligned(head.rta_len), bytes.size()));
  }
}

std::string_view after_head(std::string_view message, std::size_t body) {
  return message.substr(std::min(aligned(sizeof(nlmsghdr)) + aligned(body), message.size()));
}

template <typename Body>
Body body_of(std::string_view message) {
  return read_as<Body>(message.substr(aligned(sizeof(nlmsghdr))));
}

// The kernel's sentence about a refusal, where it has one (NETLINK_EXT_ACK): the errno alone is
// EINVAL for most of them.
std::string explanation_in(std::string_view message, std::uint16_t flags) {
  if ((flags & NLM_F_ACK_TLVS) == 0) return {};
  const auto error = body_of<nlmsgerr>(message);
  // The request comes back whole unless it is cut to its head (NLM_F_CAPPED).
  const std::size_t request =
      (flags & NLM_F_CAPPED) != 0 ? sizeof(nlmsghdr) : std::size_t{error.msg.nlmsg_len};
  std::string text;
  each_attribute(after_head(message, sizeof(error.error) + request),
                 [&](std::uint16_t type, std::string_view bytes) {
                   if (type == NLMSGERR_ATTR_MSG) text = bytes.substr(0, bytes.find('\0'));
                 });
  return text;
}

[[noreturn]] void refuse(int number, std::string_view call, const std::string& explanation) {
  Error error = Error::from_errno(number, std::string(call));
  if (!explanation.empty()) error.set_hint("the kernel says: " + explanation);
  throw error;
}

Link link_of(std::string_view message) {
  const auto body = body_of<ifinfomsg>(message);
  Link link{.index = body.ifi_index, .up = (body.ifi_flags & IFF_UP) != 0};
  each_attribute(after_head(message, sizeof body), [&](std::uint16_t type, std::string_view bytes) {
    if (type == IFLA_IFNAME) link.name = bytes.substr(0, bytes.find('\0'));
  });
  return link;
}

// Flags of more than 8 bits have an attribute.
Address address_of(std::string_view message) {
  const auto body = body_of<ifaddrmsg>(message);
  Address address{.family = body.ifa_family,
                  .prefix_length = body.ifa_prefixlen,
                  .scope = body.ifa_scope,
                  .flags = body.ifa_flags};
  each_attribute(after_head(message, sizeof body), [&](std::uint16_t type, std::string_view bytes) {
    if (type == IFA_FLAGS) address.flags = read_as<std::uint32_t>(bytes);
    if (type != IFA_FLAGS) append_attribute(address.attributes, type, bytes);
  });
  return address;
}

// What of an address's flags is a wish of whoever gave it; the rest is the kernel's finding.
constexpr std::uint32_t kGivenFlags =
    IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN;

ifinfomsg link_body(int index) {
  ifinfomsg body{};
  body.ifi_index = index;
  return body;
}

void switch_on(const Fd& socket, int option) {
  const int on = 1;
  // Older kernels lack some of these; they then say less, or more than was asked for.
  ::setsockopt(socket.number(), SOL_NETLINK, option, &on, sizeof on);
}

Fd open_socket() {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket) raise(errno, "socket(AF_NETLINK, NETLINK_ROUTE)");
  switch_on(socket, NETLINK_EXT_ACK);
  switch_on(socket, NETLINK_CAP_ACK);
  switch_on(socket, NETLINK_GET_STRICT_CHK);
  return socket;
}

}  // namespace

bool Address::is_permanent() const noexcept {
  return (flags & IFA_F_PERMANENT) != 0;
}

bool Address::is_global() const noexcept {
  return scope == RT_SCOPE_UNIVERSE;
}

RouteSocket::RouteSocket() : socket_(open_socket()) {}

RouteSocket RouteSocket::in(FdRef network_namespace) {
  const Fd own = open_at(FdRef::cwd(), "/proc/self/ns/net", O_RDONLY);
  join_namespaces(network_namespace, CLONE_NEWNET);
  Fd socket;
  try {
    socket = open_socket();
  } catch (const Error&) {
    join_namespaces(own, CLONE_NEWNET);
    throw;
  }
  join_namespaces(own, CLONE_NEWNET);
  return RouteSocket(std::move(socket));
}

// Sends a message and gives the ones that answer it, until the kernel says that this is all.
std::vector<std::string> RouteSocket::ask(std::string message, std::string_view call) {
  auto head = read_as<nlmsghdr>(message);
  head.nlmsg_len = static_cast<std::uint32_t>(message.size());
  head.nlmsg_seq = ++sequence_;
  std::memcpy(message.data(), &head, sizeof head);
  if (::send(socket_.number(), message.data(), message.size(), 0) < 0) raise(errno, "{}", call);

  std::vector<std::string> answers;
  std::string buffer(kReceiveSize, '\0');
  for (;;) {
    const ssize_t got = ::recv(socket_.number(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) raise(errno, "{}", call);
    std::string_view left(buffer.data(), static_cast<std::size_t>(got));
    while (left.size() >= sizeof(nlmsghdr)) {
      const auto part = read_as<nlmsghdr>(left);
      if (part.nlmsg_len < sizeof(nlmsghdr) || part.nlmsg_len > left.size()) break;
      const std::string_view whole = left.substr(0, part.nlmsg_len);
      left.remove_prefix(std::min(aligned(part.nlmsg_len), left.size()));
      if (part.nlmsg_seq != sequence_) continue;
      if (part.nlmsg_type == NLMSG_DONE) return answers;
      if (part.nlmsg_type == NLMSG_ERROR) {
        const int number = -body_of<nlmsgerr>(whole).error;
        if (number == 0) return answers;
        refuse(number, call, explanation_in(whole, part.nlmsg_flags));
      }
      answers.emplace_back(whole);
    }
  }
}

std::optional<Link> RouteSocket::find(std::string_view name) {
  std::string message = begin(RTM_GETLINK, NLM_F_ACK, link_body(0));
  append_name(message, std::string(name));
  try {
    const auto answers = ask(std::move(message), fmt::format("RTM_GETLINK({})", name));
    if (!answers.empty()) return link_of(answers.front());
  } catch (const Error& error) {
    if (error.errno_value() != ENODEV) throw;
  }
  return std::nullopt;
}

Link RouteSocket::at(int index) {
  const std::string call = fmt::format("RTM_GETLINK(#{})", index);
  const auto answers = ask(begin(RTM_GETLINK, NLM_F_ACK, link_body(index)), call);
  if (answers.empty()) raise(ENODEV, "{}", call);
  return link_of(answers.front());
}

void RouteSocket::set_up(int index, bool up) {
  ifinfomsg body = link_body(index);
  body.ifi_flags = up ? IFF_UP : 0;
  body.ifi_change = IFF_UP;
  ask(begin(RTM_NEWLINK, NLM_F_ACK, body),
      fmt::format("RTM_NEWLINK(#{}, {}IFF_UP)", index, up ? "" : "~"));
}

void RouteSocket::rename(int index, const std::string& name) {
  std::string message = begin(RTM_NEWLINK, NLM_F_ACK, link_body(index));
  append_name(message, name);
  ask(std::move(message), fmt::format("RTM_NEWLINK(#{}, {})", index, name));
}

void RouteSocket::move(int index, FdRef network_namespace, const std::string& name) {
  std::string message = begin(RTM_NEWLINK, NLM_F_ACK, link_body(index));
  append_name(message, name);
  append_attribute(message, IFLA_NET_NS_FD, bytes_of(network_namespace.number()));
  ask(std::move(message), fmt::format("RTM_NEWLINK(#{}, {}, to the namespace {})", index, name,
                                      describe(network_namespace)));
}

std::vector<Address> RouteSocket::addresses(int index) {
  ifaddrmsg body{};
  body.ifa_index = static_cast<std::uint32_t>(index);
  std::vector<Address> found;
  for (const std::string& answer :
       ask(begin(RTM_GETADDR, NLM_F_DUMP, body), fmt::format("RTM_GETADDR(#{})", index))) {
    // Without NETLINK_GET_STRICT_CHK (before Linux 5.0) the kernel tells of every device.
    if (body_of<ifaddrmsg>(answer).ifa_index == body.ifa_index) found.push_back(address_of(answer));
  }
  return found;
}

void RouteSocket::add(int index, const Address& address, bool at_home) {
  ifaddrmsg body{};
  body.ifa_family = address.family;
  body.ifa_prefixlen = address.prefix_length;
  body.ifa_scope = address.scope;
  body.ifa_index = static_cast<std::uint32_t>(index);
  std::string message = begin(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, body);
  each_attribute(address.attributes, [&](std::uint16_t type, std::string_view bytes) {
    if (at_home || (type != IFA_CACHEINFO && type != IFA_LABEL)) {
      append_attribute(message, type, bytes);
    }
  });
  const std::uint32_t flags = address.flags & kGivenFlags;
  append_attribute(message, IFA_FLAGS, bytes_of(flags));
  ask(std::move(message), fmt::format("RTM_NEWADDR(#{}, /{})", index, address.prefix_length));
}

}  // namespace tare::sys
