#include "sys/signals.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

#include "sys/describe.hpp"

namespace tare::sys {
namespace {

struct Name {
  int number;
  std::string_view name;
};

// The first name of a number is the one that is printed; after it come the aliases.
constexpr Name kNames[] = {
    {SIGABRT, "SIGABRT"},     {SIGALRM, "SIGALRM"}, {SIGBUS, "SIGBUS"},   {SIGCHLD, "SIGCHLD"},
    {SIGCONT, "SIGCONT"},     {SIGFPE, "SIGFPE"},   {SIGHUP, "SIGHUP"},   {SIGILL, "SIGILL"},
    {SIGINT, "SIGINT"},       {SIGIO, "SIGIO"},     {SIGKILL, "SIGKILL"}, {SIGPIPE, "SIGPIPE"},
    {SIGPROF, "SIGPROF"},     {SIGPWR, "SIGPWR"},   {SIGQUIT, "SIGQUIT"}, {SIGSEGV, "SIGSEGV"},
    {SIGSTKFLT, "SIGSTKFLT"}, {SIGSTOP, "SIGSTOP"}, {SIGSYS, "SIGSYS"},   {SIGTERM, "SIGTERM"},
    {SIGTRAP, "SIGTRAP"},     {SIGTSTP, "SIGTSTP"}, {SIGTTIN, "SIGTTIN"}, {SIGTTOU, "SIGTTOU"},
    {SIGURG, "SIGURG"},       {SIGUSR1, "SIGUSR1"}, {SIGUSR2, "SIGUSR2"}, {SIGVTALRM, "SIGVTALRM"},
    {SIGWINCH, "SIGWINCH"},   {SIGXCPU, "SIGXCPU"}, {SIGXFSZ, "SIGXFSZ"}, {SIGABRT, "SIGIOT"},
    {SIGCHLD, "SIGCLD"},      {SIGIO, "SIGPOLL"},
};

// glibc keeps the kernel's 32 and 33 for its threads, so SIGRTMIN is 34 for everybody (signal(7)).
constexpr int kFirstRealTime = 34;
constexpr int kLast = 64;

std::optional<int> find_number(std::string_view text) {
  int number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, failure] = std::from_chars(text.data(), end, number);
  if (failure != std::errc{} || rest != end || number < 0 || number > kLast) return std::nullopt;
  return number;
}

// "SIGRTMIN", "SIGRTMIN+3", "SIGRTMAX-1"
std::optional<int> find_real_time(std::string_view name) {
  const bool from_first = name.starts_with("SIGRTMIN");
  if (!from_first && !name.starts_with("SIGRTMAX")) return std::nullopt;
  name.remove_prefix(std::string_view("SIGRTMIN").size());
  if (name.empty()) return from_first ? kFirstRealTime : kLast;
  if (name.front() != (from_first ? '+' : '-')) return std::nullopt;
  const std::optional<int> distance = find_number(name.substr(1));
  if (!distance || *distance > kLast - kFirstRealTime) return std::nullopt;
  return from_first ? kFirstRealTime + *distance : kLast - *distance;
}

// Any case, with SIG or without: what kill(1), runc and docker's --signal take.
std::optional<int> find_named(std::string_view text) {
  std::string name;
  for (const char c : text) name += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  if (!name.starts_with("SIG")) name.insert(0, "SIG");
  for (const Name& known : kNames) {
    if (known.name == name) return known.number;
  }
  return find_real_time(name);
}

}  // namespace

int parse_signal(const std::string& text) {
  if (const std::optional<int> number = find_number(text)) return *number;
  if (const std::optional<int> number = find_named(text)) return *number;
  throw Error(ErrorKind::usage, fmt::format("unknown signal \"{}\"", text));
}

std::string signal_name(int number) {
  for (const Name& known : kNames) {
    if (known.number == number) return std::string(known.name);
  }
  if (number == kFirstRealTime) return "SIGRTMIN";
  if (number > kFirstRealTime && number <= kLast) {
    return fmt::format("SIGRTMIN+{}", number - kFirstRealTime);
  }
  return fmt::format("{}", number);
}

std::string signal_text(int number) {
  const char* description = ::sigdescr_np(number);
  if (description == nullptr) return fmt::format("signal {}", number);
  std::string text(description);
  // Go's table is glibc's in lower case, but for the names in it ("I/O possible").
  if (text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'a') {
    text[0] = static_cast<char>(text[0] - 'A' + 'a');
  }
  return text;
}

BlockedSignals::BlockedSignals() {
  keep_ended_children();
  sigset_t all{};
  ::sigfillset(&all);
  if (::sigprocmask(SIG_SETMASK, &all, &before_) < 0) raise(errno, "sigprocmask(SIG_SETMASK, all)");
}

BlockedSignals::~BlockedSignals() {
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

// A signalfd only sees signals that are blocked (signalfd(2)): hence a member of this class.
Fd BlockedSignals::open() const {
  sigset_t all{};
  ::sigfillset(&all);
  const int fd = ::signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) raise(errno, "signalfd");
  return Fd(fd);
}

std::optional<int> receive_signal(FdRef signals) {
  signalfd_siginfo info{};
  for (;;) {
    const ssize_t got = ::read(signals.number(), &info, sizeof info);
    if (got == sizeof info) return static_cast<int>(info.ssi_signo);
    if (got < 0 && errno == EAGAIN) return std::nullopt;
    if (got < 0 && errno != EINTR) raise(errno, "read {}", describe(signals));
  }
}

void reset_dispositions() noexcept {
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  // SIGKILL, SIGSTOP and the two of glibc refuse, having no other disposition to begin with.
  for (int number = 1; number <= kLast; ++number) ::sigaction(number, &standard, nullptr);
}

void unblock_signals() {
  sigset_t none{};
  ::sigemptyset(&none);
  if (::sigprocmask(SIG_SETMASK, &none, nullptr) < 0)
    raise(errno, "sigprocmask(SIG_SETMASK, none)");
}

void end_at_termination() noexcept {
  struct sigaction end {};
  // As a shell has it; nothing of this process is to be cleared away by itself.
  end.sa_handler = [](int number) { ::_exit(128 + number); };
  sigset_t those{};
  ::sigemptyset(&those);
  for (const int number : {SIGHUP, SIGINT, SIGTERM}) {
    ::sigaction(number, &end, nullptr);
    ::sigaddset(&those, number);
  }
  // A caller may have had them blocked.
  ::sigprocmask(SIG_UNBLOCK, &those, nullptr);
}

IgnoredSigpipe::IgnoredSigpipe() noexcept {
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &before_);
}

IgnoredSigpipe::~IgnoredSigpipe() {
  ::sigaction(SIGPIPE, &before_, nullptr);
}

void keep_ended_children() noexcept {
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  ::sigaction(SIGCHLD, &standard, nullptr);
}

void lead_process_group() {
  if (::setpgid(0, 0) < 0) raise(errno, "setpgid(0, 0)");
}

bool signal_group(pid_t leader, int signal) {
  if (::kill(-leader, signal) == 0) return true;
  if (errno == ESRCH) return false;
  raise(errno, "kill({}, {})", -leader, signal_name(signal));
}

}  // namespace tare::sys
