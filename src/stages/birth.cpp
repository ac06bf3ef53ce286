#include "stages/birth.hpp"

#include <charconv>
#include <string>
#include <utility>

#include "stages/handover.hpp"
#include "stages/protocol.hpp"
#include "sys/borrower.hpp"
#include "sys/socket.hpp"

namespace tare::stages {
namespace {

// In the joiner: joins, makes the child, and tells the parent of it. Gives the joiner's exit
// status.
int join_and_clone(InitEnd& channel, std::uint64_t namespaces, const Join& join,
                   const std::function<int()>& body) {
  try {
    join(channel.fd());
    const sys::Child child = sys::clone_process({.namespaces = namespaces, .sibling = true});
    if (child.pid == 0) {
      // Or the parent could not see the end of a joiner that is killed before it has told.
      channel.close();
      return body();
    }
    // The joiner is in its old pid namespace still (setns changes it for children only), so this
    // pid is the one that the parent knows.
    channel.send(FromInit::joined, std::to_string(child.pid), child.pidfd);
    return 0;
  } catch (const Error& error) {
    channel.send_failure(error);
    return 1;
  }
}

}  // namespace

sys::Child spawn_through_joiner(const sys::CloneRequest& request, const Join& join,
                                const std::function<int()>& body,
                                const std::string& cgroup_directory,
                                const std::function<void(pid_t)>& place) {
  auto [near, far] = sys::socket_pair();
  ParentEnd from_joiner(std::move(near));
  InitEnd to_parent(std::move(far));
  // Its own channel: the child may speak on the other one before the joiner has told of it.
  const sys::Child joiner = sys::spawn({.cgroup = request.cgroup}, [&] {
    from_joiner.close();
    if (place) to_parent.expect(ToInit::proceed);
    return join_and_clone(to_parent, request.namespaces, join, body);
  });
  to_parent.close();
  if (place) {
    // A joiner that is never told to go on sees the other end closed, and ends by itself.
    place(joiner.pid);
    from_joiner.send(ToInit::proceed);
  }
  // Its word is kept by the socket, so it can be reaped first, whatever that word is.
  const sys::ExitStatus ended = sys::wait_for(joiner.pidfd);
  Request answer = from_joiner.receive();
  sys::Child child{.pidfd = std::move(answer.attached)};
  std::from_chars(answer.text.data(), answer.text.data() + answer.text.size(), child.pid);
  if (answer.kind != FromInit::joined || child.pid <= 0 || !child.pidfd) {
    throw death_of("the process that joins namespaces", ended, cgroup_directory);
  }
  return child;
}

sys::Child spawn_through_borrower(std::optional<sys::FdRef> cgroup,
                                  const std::function<void()>& join,
                                  const std::function<int()>& body) {
  pid_t made = 0;
  std::optional<Error> fault;
  const sys::ExitStatus ended = sys::lend_memory(cgroup, [&] {
    try {
      join();
      const sys::Child child = sys::clone_process({.sibling = true, .with_pidfd = false});
      if (child.pid == 0) return body();
      made = child.pid;
      return 0;
    } catch (const Error& error) {
      fault = error;
      return 1;
    }
  });
  if (fault) throw std::move(*fault);
  // Nobody but us can reap it, so its pid is its own still.
  std::optional<sys::Fd> pidfd = made > 0 ? sys::open_pidfd(made) : std::nullopt;
  if (!pidfd) throw death_of("the process that joins namespaces", ended, "");
  return {.pid = made, .pidfd = std::move(*pidfd)};
}

void run_in_child(const sys::CloneRequest& request, const std::function<void()>& work) {
  auto [near, far] = sys::socket_pair();
  ParentEnd parent(std::move(near));
  InitEnd child(std::move(far));
  const sys::Child process = sys::spawn(request, [&] {
    parent.close();
    try {
      work();
      child.send(FromInit::ready);
      return 0;
    } catch (const Error& error) {
      child.send_failure(error);
      return 1;
    }
  });
  child.close();
  // Its word is kept by the socket, so it can be reaped first, whatever that word is.
  sys::wait_for(process.pidfd);
  if (parent.receive().kind == FromInit::ready) return;
  throw Error(ErrorKind::internal, "a process of the runtime's own died without a word");
}

}  // namespace tare::stages
