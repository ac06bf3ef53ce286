/// How a container's process comes to be: one clone3 with everything, or, where the kernel lets a
/// namespace be joined only by a child of the process that joins, through a joiner that stands
/// between.
///
///   parent ── clone3(new namespaces, into the cgroup) ──▶ process
///   parent ── clone3(into the cgroup) ──▶ joiner ── setns …, clone3(CLONE_PARENT, …) ──▶ process
///
/// A joiner copies the parent or, where that is safe, borrows its memory.
///
/// A joiner also stands for the process while systemd makes the scope that it is to be born in, as
/// systemd makes none around nothing.
///
/// Either way the process is the parent's child, and the joiner is gone when this returns.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "sys/fd.hpp"
#include "sys/process.hpp"

namespace tare::stages {

/// What a joiner does before it makes the child. It gets its own socket to the parent, for one that
/// closes what the child is not to be born with.
using Join = std::function<void(sys::FdRef to_parent)>;

/// Makes a child through a joiner: `join` runs in the joiner, `body` in the child. `place`, where
/// there is one, runs before both, here in the parent, with the joiner's pid: it puts the joiner
/// where the child is to be born, `cgroup_directory` then. Throws what `place` or the joiner failed
/// with, or why the joiner died, which a memory limit can do to it already.
sys::Child spawn_through_joiner(const sys::CloneRequest& request, const Join& join,
                                const std::function<int()>& body,
                                const std::string& cgroup_directory,
                                const std::function<void(pid_t)>& place = {});

/// As spawn_through_joiner, with a joiner that has the parent's memory (sys/borrower.hpp) and so
/// takes a third of the time: for a `join` that keeps to what a borrower may do, and where nobody
/// can see the joiner who could not see the parent. `body` runs in a process with a copy of it.
/// Both are born in `cgroup`, if there is one.
sys::Child spawn_through_borrower(std::optional<sys::FdRef> cgroup,
                                  const std::function<void()>& join,
                                  const std::function<int()>& body);

/// Runs `work` in a child of ours, born as `request` says, waits for the child's end, and throws
/// what `work` threw there.
void run_in_child(const sys::CloneRequest& request, const std::function<void()>& work);

}  // namespace tare::stages
